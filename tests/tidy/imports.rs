//! The import graph of the programs: an edge leads from a file to each file that declares a name it uses.
//!
//! Names are followed through `use` and `pub use` to their declaration, so a room's front file may offer the names of its
//! inner files. Code that only tests compile does not count. Neither do methods: their edge is the name of the type.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, File, Item, ItemUse, UseTree};

/// How many `use` items a name is followed through.
const MOST_STEPS: usize = 16;

/// Files, and the files that each of them uses.
pub(crate) type Graph = BTreeMap<String, BTreeSet<String>>;

/// Inherent methods: a type, and the files that have some of its methods.
pub(crate) type Methods = BTreeMap<String, BTreeSet<String>>;

/// All modules of the crates.
#[derive(Default)]
pub(crate) struct Modules {
    modules: Vec<Module>,
    /// The root module of each crate.
    crates: BTreeMap<String, usize>,
}

struct Module {
    file: String,
    parent: Option<usize>,
    root: usize,
    children: BTreeMap<String, usize>,
    declared: BTreeSet<String>,
    /// Names by `use`, with the path of each.
    used: BTreeMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
    items: Vec<Item>,
}

/// Where a path leads: to a module, or to an item that a module declares.
#[derive(Clone, Copy)]
enum Target {
    Module(usize),
    Item(usize),
}

impl Modules {
    /// Reads a crate from its root file. `folder` is the folder of the repository.
    pub(crate) fn read_crate(&mut self, name: &str, folder: &Path, root_file: &str) {
        let root = self.modules.len();
        self.crates.insert(name.to_owned(), root);
        let file = parse(&folder.join(root_file));
        let base = Path::new(root_file).parent().expect("a crate's root is in a folder").to_owned();
        self.enter(root_file, None, root, file.items, folder, &base);
    }

    /// The import graph, without edges from a file to itself.
    pub(crate) fn graph(&self) -> Graph {
        let mut graph = Graph::new();
        for (place, module) in self.modules.iter().enumerate() {
            let mut paths = Paths { modules: self, place, files: BTreeSet::new() };
            module.items.iter().filter(|item| !is_for_tests(attributes(item))).for_each(|item| paths.visit_item(item));
            let edges = graph.entry(module.file.clone()).or_default();
            edges.extend(paths.files.into_iter().filter(|file| *file != module.file));
        }
        graph
    }

    /// The files with inherent methods of each type, by the file and the name of the type.
    pub(crate) fn methods(&self) -> Methods {
        let mut methods = Methods::new();
        for (place, module) in self.modules.iter().enumerate() {
            for item in module.items.iter().filter(|item| !is_for_tests(attributes(item))) {
                let Item::Impl(item) = item else { continue };
                let has_methods = item.items.iter().any(|part| matches!(part, syn::ImplItem::Fn(_)));
                let syn::Type::Path(of) = &*item.self_ty else { continue };
                if item.trait_.is_some() || !has_methods {
                    continue;
                }
                let name = of.path.segments.last().expect("a type has a name").ident.to_string();
                let home = self.resolve(place, &segments(&of.path), MOST_STEPS).map_or("?", |target| self.file(target));
                methods.entry(format!("{name} of {home}")).or_default().insert(module.file.clone());
            }
        }
        methods
    }

    fn enter(
        &mut self,
        file: &str,
        parent: Option<usize>,
        root: usize,
        items: Vec<Item>,
        folder: &Path,
        inner: &Path,
    ) -> usize {
        let place = self.modules.len();
        let (children, declared, used, globs) = Default::default();
        let file = file.to_owned();
        self.modules.push(Module {
            file: file.clone(),
            parent,
            root,
            children,
            declared,
            used,
            globs,
            items: Vec::new(),
        });
        let mut kept = Vec::new();
        for item in items {
            match item {
                Item::Mod(module) if is_for_tests(&module.attrs) => {}
                Item::Mod(module) => {
                    let name = module.ident.to_string();
                    let below = inner.join(&name);
                    let child = match module.content {
                        Some((_, items)) => self.enter(&file, Some(place), root, items, folder, &below),
                        None => {
                            let path = inner.join(format!("{name}.rs"));
                            let items = parse(&folder.join(&path)).items;
                            self.enter(&path.display().to_string(), Some(place), root, items, folder, &below)
                        }
                    };
                    self.modules[place].children.insert(name, child);
                }
                item => {
                    self.modules[place].declare(&item);
                    kept.push(item);
                }
            }
        }
        self.modules[place].items = kept;
        place
    }

    fn file(&self, target: Target) -> &str {
        match target {
            Target::Module(place) | Target::Item(place) => &self.modules[place].file,
        }
    }

    /// Follows a path that stands in a module.
    fn resolve(&self, place: usize, path: &[String], steps: usize) -> Option<Target> {
        let steps = steps.checked_sub(1)?;
        let (first, rest) = path.split_first()?;
        let module = &self.modules[place];
        let start = match first.as_str() {
            "crate" => Target::Module(module.root),
            "self" => Target::Module(place),
            "super" => Target::Module(module.parent?),
            name => match self.crates.get(name) {
                Some(root) if !module.children.contains_key(name) => Target::Module(*root),
                _ => self.find(place, name, steps)?,
            },
        };
        self.walk(start, rest, steps)
    }

    fn walk(&self, start: Target, rest: &[String], steps: usize) -> Option<Target> {
        match (start, rest.split_first()) {
            (Target::Item(_), _) | (Target::Module(_), None) => Some(start),
            (Target::Module(place), Some((name, rest))) if name == "super" => {
                self.walk(Target::Module(self.modules[place].parent?), rest, steps)
            }
            (Target::Module(place), Some((name, rest))) => self.walk(self.find(place, name, steps)?, rest, steps),
        }
    }

    /// Finds a name in a module: a module below it, an item of its own, or an import.
    fn find(&self, place: usize, name: &str, steps: usize) -> Option<Target> {
        let module = &self.modules[place];
        if let Some(child) = module.children.get(name) {
            return Some(Target::Module(*child));
        }
        if module.declared.contains(name) {
            return Some(Target::Item(place));
        }
        if let Some(path) = module.used.get(name) {
            return self.resolve(place, path, steps);
        }
        let steps = steps.checked_sub(1)?;
        module.globs.iter().find_map(|path| match self.resolve(place, path, steps)? {
            Target::Module(from) if from != place => self.find(from, name, steps),
            Target::Module(_) | Target::Item(_) => None,
        })
    }
}

impl Module {
    fn declare(&mut self, item: &Item) {
        let name = match item {
            Item::Const(item) => &item.ident,
            Item::Enum(item) => &item.ident,
            Item::Fn(item) => &item.sig.ident,
            Item::Static(item) => &item.ident,
            Item::Struct(item) => &item.ident,
            Item::Trait(item) => &item.ident,
            Item::Type(item) => &item.ident,
            Item::Union(item) => &item.ident,
            Item::Macro(item) => match &item.ident {
                Some(name) => name,
                None => return,
            },
            Item::Use(item) if !is_for_tests(&item.attrs) => return self.bring(&item.tree, &mut Vec::new()),
            _ => return,
        };
        self.declared.insert(name.to_string());
    }

    fn bring(&mut self, tree: &UseTree, path: &mut Vec<String>) {
        match tree {
            UseTree::Path(part) => {
                path.push(part.ident.to_string());
                self.bring(&part.tree, path);
                path.pop();
            }
            UseTree::Name(part) if part.ident == "self" => {
                self.used.insert(path.last().cloned().unwrap_or_default(), path.clone());
            }
            UseTree::Name(part) => {
                self.used.insert(part.ident.to_string(), joined(path, &part.ident.to_string()));
            }
            UseTree::Rename(part) if part.ident == "self" => {
                self.used.insert(part.rename.to_string(), path.clone());
            }
            UseTree::Rename(part) => {
                self.used.insert(part.rename.to_string(), joined(path, &part.ident.to_string()));
            }
            UseTree::Glob(_) => self.globs.push(path.clone()),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.bring(tree, path)),
        }
    }
}

/// Collects the files that the paths of a module lead to.
struct Paths<'m> {
    modules: &'m Modules,
    place: usize,
    files: BTreeSet<String>,
}

impl Paths<'_> {
    fn follow(&mut self, path: &[String]) {
        if let Some(Target::Item(place)) = self.modules.resolve(self.place, path, MOST_STEPS) {
            self.files.insert(self.modules.modules[place].file.clone());
        }
    }

    fn follow_use(&mut self, tree: &UseTree, path: &mut Vec<String>) {
        match tree {
            UseTree::Path(part) => {
                path.push(part.ident.to_string());
                self.follow_use(&part.tree, path);
                path.pop();
            }
            UseTree::Name(part) => self.follow(&joined(path, &part.ident.to_string())),
            UseTree::Rename(part) => self.follow(&joined(path, &part.ident.to_string())),
            UseTree::Glob(_) => {}
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.follow_use(tree, path)),
        }
    }
}

impl<'ast> Visit<'ast> for Paths<'_> {
    /// A name that is only offered again is no use of it.
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if matches!(item.vis, syn::Visibility::Inherited) && !is_for_tests(&item.attrs) {
            self.follow_use(&item.tree, &mut Vec::new());
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.follow(&segments(path));
        visit::visit_path(self, path);
    }
}

/// The shortest circle of each knot of a graph.
pub(crate) fn circles(graph: &Graph) -> Vec<Vec<String>> {
    let mut found: Vec<Vec<String>> = Vec::new();
    for start in graph.keys() {
        if found.iter().any(|circle| circle.contains(start)) {
            continue;
        }
        found.extend(way_back(graph, start));
    }
    found
}

/// The shortest way from a node back to itself.
fn way_back(graph: &Graph, start: &str) -> Option<Vec<String>> {
    let mut before: BTreeMap<&str, &str> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for next in graph.get(node).into_iter().flatten() {
            if next == start {
                let mut way = vec![start.to_owned()];
                let mut at = node;
                while at != start {
                    way.insert(1, at.to_owned());
                    at = before[at];
                }
                return Some(way);
            }
            if !before.contains_key(next.as_str()) {
                before.insert(next, node);
                queue.push_back(next);
            }
        }
    }
    None
}

fn segments(path: &syn::Path) -> Vec<String> {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

fn joined(path: &[String], name: &str) -> Vec<String> {
    path.iter().cloned().chain([name.to_owned()]).collect()
}

fn parse(path: &PathBuf) -> File {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Whether only tests compile it.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Ident>().is_ok_and(|what| what == "test")
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
