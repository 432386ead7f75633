//! All of `src/` as one tree of modules: which file a path leads to, and which files need each other in a circle.
//!
//! A path is followed through re-exports to the file that defines what it names. A re-export is not a dependency: a
//! module that only declares its children and passes their names on is in no circle with them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use petgraph::algo::tarjan_scc;
use petgraph::graph::DiGraph;

use super::source::{Import, Purpose, SourceFile};

/// All files of `src/`, parsed once.
pub(super) static SRC: LazyLock<Tree> = LazyLock::new(|| {
    let sources = files(&root().join("src"), "rs").into_iter().map(|path| {
        let inside = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        (inside, fs::read_to_string(&path).unwrap())
    });
    Tree::of(&sources.collect::<Vec<_>>())
});

/// The project's folder.
pub(super) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All files below `folder` that end in `extension`.
pub(super) fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no .{extension} file below {}: the check would look at nothing", folder.display());
    found
}

/// Files, and what their paths lead to.
pub(super) struct Tree {
    /// The files, by path.
    pub(super) files: Vec<SourceFile>,
    file_of: BTreeMap<Vec<String>, usize>,
    for_tests: BTreeSet<Vec<String>>,
}

/// A use in one file of something that another one defines.
#[derive(Debug)]
pub(super) struct Need {
    pub(super) from: usize,
    pub(super) to: usize,
    /// What it names, as an absolute path.
    pub(super) path: String,
    pub(super) purpose: Purpose,
    pub(super) is_re_export: bool,
}

impl Tree {
    /// Parses `sources`, each with its path from the project's root.
    pub(super) fn of(sources: &[(String, String)]) -> Self {
        let files: Vec<SourceFile> = sources.iter().map(|(path, text)| SourceFile::parse(path, text)).collect();
        assert!(!files.is_empty(), "no file was parsed: the checks would look at nothing");
        let mut file_of = BTreeMap::new();
        for (at, file) in files.iter().enumerate() {
            file_of.extend(file.modules.iter().map(|module| (module.clone(), at)));
        }
        let for_tests = files
            .iter()
            .flat_map(|file| &file.children)
            .filter(|(_, purpose)| *purpose == Purpose::Tests)
            .map(|(module, _)| module.clone())
            .collect();
        Self { files, file_of, for_tests }
    }

    /// Whether a file is compiled only for tests.
    pub(super) fn purpose(&self, file: usize) -> Purpose {
        let module = self.files[file].module();
        let is_for_tests = (1..=module.len()).any(|depth| self.for_tests.contains(&module[..depth]));
        if is_for_tests { Purpose::Tests } else { Purpose::Program }
    }

    /// The files of the program, without those that are only for tests.
    pub(super) fn program(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.iter().enumerate().filter(|(at, _)| self.purpose(*at) == Purpose::Program).map(|(_, file)| file)
    }

    /// What each file needs from the others.
    pub(super) fn needs(&self) -> Vec<Need> {
        let mut needs = Vec::new();
        for (from, file) in self.files.iter().enumerate() {
            let imports = file.imports.iter().map(|one| (&one.module, &one.path, one.purpose, one.is_re_export));
            let mentions = file.mentions.iter().map(|one| (&one.module, &one.path, one.purpose, false));
            for (module, path, purpose, is_re_export) in imports.chain(mentions) {
                let Some(path) = self.absolute(module, path, 0) else { continue };
                let (defined_in, path) = self.follow(path, 0);
                let Some(&to) = self.file_of.get(&defined_in) else { continue };
                // A module that is named by itself is used only through the paths that begin with it.
                if to == from || path.len() == defined_in.len() {
                    continue;
                }
                let in_tests = self.purpose(from) == Purpose::Tests;
                let purpose = if in_tests { Purpose::Tests } else { purpose };
                needs.push(Need { from, to, path: path.join("::"), purpose, is_re_export });
            }
        }
        assert!(!needs.is_empty(), "no file needs another one: the check looked at nothing");
        needs
    }

    /// The circles of the program: files that need each other, directly or through further files.
    pub(super) fn circles(&self) -> Vec<Vec<String>> {
        let mut graph = DiGraph::<usize, ()>::new();
        let nodes: Vec<_> = (0..self.files.len()).map(|file| graph.add_node(file)).collect();
        for need in self.needs() {
            if need.purpose == Purpose::Program && !need.is_re_export {
                graph.update_edge(nodes[need.from], nodes[need.to], ());
            }
        }
        let mut circles: Vec<Vec<String>> = tarjan_scc(&graph)
            .into_iter()
            .filter(|circle| circle.len() > 1)
            .map(|circle| {
                let mut paths: Vec<String> =
                    circle.into_iter().map(|node| self.files[graph[node]].path.clone()).collect();
                paths.sort();
                paths
            })
            .collect();
        circles.sort();
        circles
    }

    /// What the files of a circle need from each other, one line for each pair.
    pub(super) fn needs_within(&self, circle: &[String]) -> Vec<String> {
        let is_inside = |file: usize| circle.contains(&self.files[file].path);
        let needs = self.needs().into_iter().filter(|need| need.purpose == Purpose::Program && !need.is_re_export);
        let inside = needs.filter(|need| is_inside(need.from) && is_inside(need.to));
        let mut paths: BTreeMap<(&str, &str), BTreeSet<String>> = BTreeMap::new();
        for need in inside {
            let pair = (self.files[need.from].path.as_str(), self.files[need.to].path.as_str());
            paths.entry(pair).or_default().insert(need.path);
        }
        let line = |((from, to), paths): ((&str, &str), BTreeSet<String>)| {
            let paths: Vec<String> = paths.into_iter().collect();
            format!("{from} needs {to}: {}", paths.join(", "))
        };
        paths.into_iter().map(line).collect()
    }

    /// The path from the crate's root that `path` means in `module`; `None` for what another crate or the file itself
    /// defines.
    fn absolute(&self, module: &[String], path: &[String], depth: usize) -> Option<Vec<String>> {
        let (first, rest) = path.split_first()?;
        let below = |start: &[String]| Some([start, rest].concat());
        match first.as_str() {
            "crate" => below(&[]),
            "self" => below(module),
            "super" => {
                let parent = &module[..module.len().checked_sub(1)?];
                if rest.first().is_some_and(|next| next == "super") {
                    return self.absolute(parent, rest, depth);
                }
                below(parent)
            }
            name => below(&self.named(module, name, depth)?),
        }
    }

    /// What `name` means in `module`: a child module, or an imported name.
    fn named(&self, module: &[String], name: &str, depth: usize) -> Option<Vec<String>> {
        let child = [module, &[name.to_owned()]].concat();
        let file = &self.files[*self.file_of.get(module)?];
        if self.file_of.contains_key(&child) || file.defines.contains(&(module.to_vec(), name.to_owned())) {
            return Some(child);
        }
        if depth > 8 {
            return None;
        }
        let here = || file.imports.iter().filter(|import| import.module == module);
        let by_name = here().filter(|import| import.name.as_deref() == Some(name));
        let leads = |import: &Import| {
            if import.path.first().is_some_and(|first| first == name) && import.path.len() == 1 {
                return None; // `use serde;` names another crate.
            }
            self.absolute(module, &import.path, depth + 1)
        };
        by_name.filter_map(leads).next().or_else(|| {
            here().filter(|import| import.name.is_none()).find_map(|glob| {
                let source = self.absolute(module, &glob.path, depth + 1)?;
                self.named(&source, name, depth + 1)
            })
        })
    }

    /// Follows re-exports: the module that defines what `path` names, and its path there.
    fn follow(&self, path: Vec<String>, depth: usize) -> (Vec<String>, Vec<String>) {
        let known = (0..=path.len()).rev().find(|len| self.file_of.contains_key(&path[..*len])).unwrap_or(0);
        let module = path[..known].to_vec();
        if let Some(name) = path.get(known)
            && depth < 8
            && let Some(mut target) = self.named(&module, name, 0)
            && target[..] != path[..=known]
        {
            target.extend_from_slice(&path[known + 1..]);
            return self.follow(target, depth + 1);
        }
        (module, path)
    }
}
