//! The environment of the process: read once, and cleared of secrets before other programs are started.
//!
//! Every process of the same user can read the environment that a process was started with (`/proc/PID/environ`), and
//! nothing a process does later changes that. So a process that starts programs first starts itself again without the
//! variables that are its own or hold secrets ([`start_again_without`]); their values are passed in an unnamed file in
//! memory, as standard input, which is emptied as it is read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};

/// The variable that says that the others come through standard input.
const MARK: &str = "NOCTURNE_VARIABLES";
/// Its value, and the name of the file in memory.
const MARKED: &str = "nocturne-variables";

/// The environment, as a value.
pub type Environment = BTreeMap<String, String>;

/// Returns the process's environment, with what it was started again without. Nothing else reads it.
///
/// A variable whose name is not UTF-8 cannot be one of ours and is left out; in a value, what is not UTF-8 becomes
/// `U+FFFD`.
pub fn process_environment() -> Environment {
    static READ: OnceLock<Environment> = OnceLock::new();
    READ.get_or_init(|| {
        let mut environment: Environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
            .collect();
        if environment.remove(MARK).is_some_and(|mark| mark == MARKED) {
            // If standard input is another file, the mark was not set by this program and means nothing.
            environment.extend(handed_over().unwrap_or_default());
        }
        environment
    })
    .clone()
}

/// Starts this program again, in the same process, without those of `names` that its environment has; returns if it has
/// none of them.
///
/// # Errors
/// When it cannot be started again; nothing has changed then.
pub fn start_again_without(names: &BTreeSet<String>) -> io::Result<()> {
    let is_set = |name: &String| std::env::vars_os().any(|(set, _)| set.to_str() == Some(name));
    let given_up: Vec<&String> = names.iter().filter(|name| is_set(name)).collect();
    if given_up.is_empty() {
        return Ok(());
    }
    let environment = process_environment();
    let values: BTreeMap<_, _> = environment.iter().filter(|(name, _)| names.contains(*name)).collect();
    let mut arguments = std::env::args_os();
    let mut again = Command::new("/proc/self/exe");
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    again.args(arguments).env(MARK, MARKED).stdin(Stdio::from(in_memory(&serde_json::to_vec(&values)?)?));
    for name in given_up {
        again.env_remove(name);
    }
    Err(again.exec())
}

fn in_memory(content: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create(MARKED, MemfdFlags::CLOEXEC)?);
    file.write_all(content)?;
    file.rewind()?;
    Ok(file)
}

/// Reads what this program has passed to itself, and empties the file.
fn handed_over() -> io::Result<Environment> {
    let file = std::fs::read_link("/proc/self/fd/0")?;
    if !file.to_string_lossy().starts_with(&format!("/memfd:{MARKED}")) {
        return Ok(Environment::new());
    }
    let mut content = Vec::new();
    io::stdin().lock().read_to_end(&mut content)?;
    ftruncate(io::stdin(), 0)?;
    Ok(serde_json::from_slice(&content)?)
}
