//! A real PostgreSQL server for the tests: one per test process, one database per test.
//!
//! It listens only on a Unix socket in its own temporary folder, so no port can be taken. A shell holds it: when the
//! test process ends, for whatever reason, the shell's input closes, and it stops the server and removes the folder.
//! The server refuses to run as root; then it runs as `nobody`. If its binaries are not installed, the tests fail and
//! name the package they need.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// Runs the server until its input closes. `$1`: the binaries; `$2`: the folder; `$3`: an empty cluster, made by the
/// first process that needs it and copied by the others (a copy takes a tenth of `initdb`'s time, and some test
/// runners start a process per test); the rest: how to change the user.
const HOLD: &str = r#"
trap '' INT TERM
exec 2>&1
bin=$1; home=$2; empty=$3; shift 3
if [ -d "$empty" ]; then
    cp -a "$empty" "$home/data" || exit 1
else
    "$@" "$bin/initdb" -D "$home/data" -U nocturne -A trust -E UTF8 --locale=C --no-sync </dev/null >"$home/log" 2>&1 ||
        { cat "$home/log"; exit 1; }
    cp -a "$home/data" "$empty.$$" && mv -T "$empty.$$" "$empty" 2>/dev/null || rm -rf "$empty.$$"
fi
"$@" "$bin/postgres" -D "$home/data" -k "$home" -c listen_addresses= -c fsync=off -c synchronous_commit=off \
    -c full_page_writes=off -c max_connections=200 -c shared_buffers=32MB </dev/null >>"$home/log" 2>&1 &
server=$!
tries=0
until "$@" "$bin/pg_isready" -q -h "$home" -U nocturne </dev/null; do
    tries=$((tries + 1))
    if [ $tries -gt 600 ] || ! kill -0 $server 2>/dev/null; then cat "$home/log"; exit 1; fi
    sleep 0.05
done
echo ready
cat >/dev/null
kill -QUIT $server
wait $server
rm -rf "$home"
"#;

struct Server {
    home: PathBuf,
    /// Its open standard input keeps the server running.
    _shell: Mutex<Child>,
}

/// Makes an empty database on the server and returns its URL.
///
/// # Panics
/// When PostgreSQL is not installed or does not start, with what to do.
pub(crate) async fn new_database() -> String {
    static SERVER: OnceLock<Server> = OnceLock::new();
    static COUNT: AtomicU32 = AtomicU32::new(0);

    let home = SERVER.get_or_init(start).home.display().to_string();
    let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let url = |database: &str| format!("postgres://nocturne@localhost/{database}?host={home}");
    let mut admin = PgConnection::connect(&url("postgres")).await.unwrap();
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut admin).await.unwrap();
    url(&name)
}

fn start() -> Server {
    use std::io::Read;

    let binaries = binaries();
    let home = tempfile::Builder::new().prefix("nocturne-pg-").tempdir_in("/tmp").unwrap().keep();
    let user = as_other_user(&home);
    let version = binaries.parent().and_then(Path::file_name).unwrap().to_string_lossy();
    let owner = std::fs::metadata(&home).unwrap().uid();
    let empty = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("postgres-{version}-{owner}"));
    let mut shell = Command::new("sh")
        .args(["-c", HOLD, "postgres-for-tests"])
        .args([&binaries, &home, &empty])
        .args(if user.is_empty() { vec!["env".to_owned()] } else { user })
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = [0; 6];
    let mut stdout = shell.stdout.take().unwrap();
    let read = stdout.read_exact(&mut said);
    if read.is_err() || &said != b"ready\n" {
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).unwrap();
        panic!("PostgreSQL did not start: {}{rest}", String::from_utf8_lossy(&said));
    }
    Server { home, _shell: Mutex::new(shell) }
}

/// Returns the folder of the newest installed server.
fn binaries() -> PathBuf {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap())
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, bin)| bin.join("initdb").exists() && bin.join("postgres").exists())
        .collect();
    found.sort();
    let newest = found.pop().map(|(_, bin)| bin);
    newest.expect("these tests need a PostgreSQL server: install the Debian package `postgresql` (tests/run does)")
}

/// Gives the folder to `nobody` when this process is root, and returns the command that becomes that user.
fn as_other_user(home: &Path) -> Vec<String> {
    if std::fs::metadata(home).unwrap().uid() != 0 {
        return Vec::new();
    }
    let nobody = 65534;
    std::os::unix::fs::chown(home, Some(nobody), Some(nobody)).unwrap();
    let mut command = vec!["setpriv".to_owned(), "--clear-groups".to_owned()];
    command.extend([format!("--reuid={nobody}"), format!("--regid={nobody}")]);
    command
}
