//! What the checks see of a source file: its imports and paths, functions, string literals and tests, parsed by `syn`.
//!
//! Code under `#[cfg(test)]` is recognised item by item, so that an early test-only import hides nothing behind it.
//! Paths inside the arguments of macros are read from their tokens; those in attributes are not read.

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// One file below `src/`.
#[derive(Default)]
pub(super) struct SourceFile {
    /// Where it is, from the project's root.
    pub(super) path: String,
    /// Its text.
    pub(super) text: String,
    /// Its module, and the modules written inside it.
    pub(super) modules: Vec<Vec<String>>,
    /// The names that each module defines itself, as (module, name).
    pub(super) defines: BTreeSet<(Vec<String>, String)>,
    /// The child modules that have files of their own, and whether they are only for tests.
    pub(super) children: Vec<(Vec<String>, Purpose)>,
    /// Its `use` declarations, one for each name.
    pub(super) imports: Vec<Import>,
    /// The paths in its code.
    pub(super) mentions: Vec<Mention>,
    /// Its string literals outside attributes.
    pub(super) literals: Vec<Literal>,
    /// Its functions with a body, without tests.
    pub(super) functions: Vec<Function>,
    /// The traits that it implements.
    pub(super) implements: Vec<String>,
    /// The lines that belong to no test.
    pub(super) lines_before_tests: usize,
}

/// Whether something belongs to the program or to its tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It is part of the program.
    Program,
    /// It is compiled only for tests.
    Tests,
}

/// One name brought into a module.
pub(super) struct Import {
    pub(super) module: Vec<String>,
    pub(super) path: Vec<String>,
    /// The name in that module; none for `*`.
    pub(super) name: Option<String>,
    pub(super) is_re_export: bool,
    pub(super) purpose: Purpose,
}

/// A path somewhere in the code of a module.
pub(super) struct Mention {
    pub(super) module: Vec<String>,
    pub(super) path: Vec<String>,
    pub(super) purpose: Purpose,
}

/// A string literal.
pub(super) struct Literal {
    pub(super) text: String,
    pub(super) line: usize,
    pub(super) purpose: Purpose,
}

/// A function with a body.
pub(super) struct Function {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) lines: usize,
    pub(super) parameters: usize,
}

impl SourceFile {
    /// Parses `text`, the content of `path` (`src/a/b.rs`).
    pub(super) fn parse(path: &str, text: &str) -> Self {
        let parsed = syn::parse_file(text).unwrap_or_else(|e| panic!("{path}: {e}"));
        let module = module_of(path);
        let mut reader = Reader {
            file: Self { path: path.to_owned(), text: text.to_owned(), ..Self::default() },
            module: module.clone(),
            purpose: Purpose::Program,
            lines_of_tests: BTreeSet::new(),
        };
        reader.file.modules.push(module);
        reader.visit_file(&parsed);
        let Reader { mut file, lines_of_tests, .. } = reader;
        file.lines_before_tests = text.lines().count() - lines_of_tests.len();
        file
    }

    /// The module that the file as a whole is.
    pub(super) fn module(&self) -> &[String] {
        &self.modules[0]
    }
}

fn module_of(path: &str) -> Vec<String> {
    let inside = path.strip_prefix("src/").unwrap_or_else(|| panic!("{path} is not below src/"));
    let mut module: Vec<String> = inside.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| last == "mod" || (last == "lib" && module.len() == 1)) {
        module.pop();
    }
    module
}

struct Reader {
    file: SourceFile,
    module: Vec<String>,
    purpose: Purpose,
    lines_of_tests: BTreeSet<usize>,
}

impl Reader {
    /// Visits a node that has attributes, as part of the tests if the attributes say so.
    fn within(&mut self, attributes: &[syn::Attribute], node: &impl Spanned, read: impl FnOnce(&mut Self)) {
        let outside = self.purpose;
        if attributes.iter().any(is_for_tests) {
            self.purpose = Purpose::Tests;
            let span = node.span();
            self.lines_of_tests.extend(span.start().line..=span.end().line);
        }
        read(self);
        self.purpose = outside;
    }

    fn defined(&mut self, name: &syn::Ident) {
        self.file.defines.insert((self.module.clone(), name.to_string()));
    }

    fn function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        if self.purpose == Purpose::Tests {
            return;
        }
        let first = signature.fn_token.span.start().line;
        let last = block.brace_token.span.close().end().line;
        self.file.functions.push(Function {
            name: signature.ident.to_string(),
            line: first,
            lines: last - first + 1,
            parameters: signature.inputs.iter().filter(|input| matches!(input, syn::FnArg::Typed(_))).count(),
        });
    }

    fn mention(&mut self, path: Vec<String>) {
        self.file.mentions.push(Mention { module: self.module.clone(), path, purpose: self.purpose });
    }

    fn literal(&mut self, literal: &syn::LitStr) {
        let (text, line) = (literal.value(), literal.span().start().line);
        self.file.literals.push(Literal { text, line, purpose: self.purpose });
    }

    fn import(&mut self, tree: &syn::UseTree, before: &[String], is_re_export: bool) {
        let followed_by = |name: &syn::Ident| {
            let mut path = before.to_vec();
            if name != "self" || before.is_empty() {
                path.push(name.to_string());
            }
            path
        };
        let mut add = |path: Vec<String>, name: Option<String>| {
            let (module, purpose) = (self.module.clone(), self.purpose);
            self.file.imports.push(Import { module, path, name, is_re_export, purpose });
        };
        match tree {
            syn::UseTree::Path(inner) => self.import(&inner.tree, &followed_by(&inner.ident), is_re_export),
            syn::UseTree::Group(group) => {
                for inner in &group.items {
                    self.import(inner, before, is_re_export);
                }
            }
            syn::UseTree::Name(name) => {
                let path = followed_by(&name.ident);
                let last = path.last().cloned();
                add(path, last);
            }
            syn::UseTree::Rename(renamed) => add(followed_by(&renamed.ident), Some(renamed.rename.to_string())),
            syn::UseTree::Glob(_) => add(before.to_vec(), None),
        }
    }

    fn tokens(&mut self, tokens: TokenStream) {
        let mut path = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.ended(&mut path);
                    }
                    path.push(name.to_string());
                    colons = 0;
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
                other => {
                    self.ended(&mut path);
                    colons = 0;
                    match other {
                        TokenTree::Group(group) => self.tokens(group.stream()),
                        TokenTree::Literal(literal) => {
                            if let Ok(literal) = syn::parse2::<syn::LitStr>(TokenTree::Literal(literal).into()) {
                                self.literal(&literal);
                            }
                        }
                        _ => {}
                    }
                }
            }
        }
        self.ended(&mut path);
    }

    fn ended(&mut self, path: &mut Vec<String>) {
        if !path.is_empty() {
            self.mention(std::mem::take(path));
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    fn visit_item(&mut self, item: &'ast syn::Item) {
        let Some((attributes, name)) = attributes_and_name(item) else { return };
        if let Some(name) = name {
            self.defined(name);
        }
        self.within(attributes, item, |reader| visit::visit_item(reader, item));
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.module.push(item.ident.to_string());
        if item.content.is_some() {
            self.file.modules.push(self.module.clone());
            visit::visit_item_mod(self, item);
        } else {
            self.file.children.push((self.module.clone(), self.purpose));
        }
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.import(&item.tree, &[], !matches!(item.vis, syn::Visibility::Inherited));
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if let Some((_, path, _)) = &item.trait_ {
            self.file.implements.extend(path.segments.last().map(|last| last.ident.to_string()));
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.within(&item.attrs, item, |reader| {
            reader.function(&item.sig, &item.block);
            visit::visit_impl_item_fn(reader, item);
        });
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.mention(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.tokens(call.tokens.clone());
    }

    fn visit_lit_str(&mut self, literal: &'ast syn::LitStr) {
        self.literal(literal);
    }
}

fn attributes_and_name(item: &syn::Item) -> Option<(&[syn::Attribute], Option<&syn::Ident>)> {
    Some(match item {
        syn::Item::Const(item) => (&item.attrs, Some(&item.ident)),
        syn::Item::Enum(item) => (&item.attrs, Some(&item.ident)),
        syn::Item::Fn(item) => (&item.attrs, Some(&item.sig.ident)),
        syn::Item::Impl(item) => (&item.attrs, None),
        syn::Item::Macro(item) => (&item.attrs, item.ident.as_ref()),
        syn::Item::Mod(item) => (&item.attrs, None),
        syn::Item::Static(item) => (&item.attrs, Some(&item.ident)),
        syn::Item::Struct(item) => (&item.attrs, Some(&item.ident)),
        syn::Item::Trait(item) => (&item.attrs, Some(&item.ident)),
        syn::Item::Type(item) => (&item.attrs, Some(&item.ident)),
        syn::Item::Use(item) => (&item.attrs, None),
        _ => return None,
    })
}

fn is_for_tests(attribute: &syn::Attribute) -> bool {
    if attribute.path().is_ident("test") {
        return true;
    }
    let syn::Meta::List(list) = &attribute.meta else { return false };
    let condition = list.tokens.to_string();
    list.path.is_ident("cfg") && (condition == "test" || condition.starts_with("all (test"))
}
