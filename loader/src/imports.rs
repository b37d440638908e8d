//! Symbols that a patch needs from other images of the process, found as the dynamic linker would find them.
//!
//! The order in which it searched is not reconstructed: one image must define the symbol, or the executable, which
//! always comes first. Anything else is refused.

use crate::address::RuntimeAddr;
use crate::dynamic::{Definition, Dynamic};
use crate::error::{LoaderError, Result};
use crate::image::Image;
use crate::target::Target;
use goblin::elf::reloc::{R_X86_64_64, R_X86_64_GLOB_DAT, R_X86_64_IRELATIVE, R_X86_64_JUMP_SLOT};
use goblin::elf::sym::{STT_GNU_IFUNC, STT_TLS};
use patchfile::{Patch, Place};
use std::collections::{BTreeSet, HashMap};

/// Runtime addresses of a patch's imports, by symbol index.
#[derive(Clone, Debug, Default)]
pub struct Imports(HashMap<usize, RuntimeAddr>);

impl Imports {
    /// Finds all imports of `patch`, which is for `image`.
    pub fn find(patch: &Patch, image: &Image, target: &Target) -> Result<Self> {
        let imports = patch.symbols.iter().enumerate().filter(|(_, symbol)| symbol.place == Place::Import);
        let mut imports = imports.peekable();
        let mut found = HashMap::new();
        if imports.peek().is_none() && patch.exports.is_empty() {
            return Ok(Imports(found));
        }
        let scope = Scope::read(image, target)?;
        let refuse = |symbol: &str, reason| LoaderError::Import {
            pid: target.process.pid(),
            symbol: symbol.to_owned(),
            reason,
        };
        for (index, symbol) in imports {
            let address = scope.find(&symbol.name).map_err(|error| match error {
                Failure::Loader(error) => error,
                Failure::Reason(reason) => refuse(&symbol.name, reason),
            })?;
            found.insert(index, address);
        }
        for name in &patch.exports {
            if let Some(other) = scope.definer(name) {
                let reason =
                    format!("{other} defines it too, and the new build of {} might use that one", image.name);
                return Err(refuse(name, reason));
            }
        }
        Ok(Imports(found))
    }

    /// Where the symbol is; None for a symbol that is no import.
    pub fn address(&self, symbol: usize) -> Option<RuntimeAddr> {
        self.0.get(&symbol).copied()
    }
}

enum Failure {
    Loader(LoaderError),
    Reason(String),
}

impl From<LoaderError> for Failure {
    fn from(error: LoaderError) -> Self {
        Failure::Loader(error)
    }
}

/// A loaded image with its dynamic section.
struct Loaded<'t> {
    image: &'t Image,
    dynamic: Dynamic,
    /// It is not unloaded before the image that is patched.
    lasts: bool,
}

impl Loaded<'_> {
    fn is_called(&self, name: &str) -> bool {
        let file = name.rsplit('/').next().unwrap_or(name);
        self.dynamic.soname.as_deref() == Some(file) || self.image.name == file
    }
}

struct Scope<'t> {
    target: &'t Target,
    images: Vec<Loaded<'t>>,
    /// The executable, by index, if what searches for the symbols asks it first.
    executable: Option<usize>,
}

impl<'t> Scope<'t> {
    fn read(patched: &Image, target: &'t Target) -> Result<Self> {
        let mut images = Vec::new();
        for image in target.images.iter().filter(|image| image.path.is_some()) {
            // A file that is only read as data has no tables in memory.
            let dynamic = match Dynamic::read(image, &target.memory) {
                Ok(dynamic) => dynamic,
                Err(LoaderError::Memory { .. }) => None,
                Err(error) => return Err(error),
            };
            images.extend(dynamic.map(|dynamic| Loaded { image, lasts: dynamic.stays, dynamic }));
        }
        let headers = target.process.program_headers();
        let position = |wanted: &dyn Fn(&Image) -> bool| images.iter().position(|other| wanted(other.image));
        let executable = position(&|image| headers.is_some_and(|at| image.extent().contains(at)));
        let start = patched.extent().start;
        let patched = position(&|image| image.extent().start == start);
        let mut scope = Scope { target, images, executable };
        let begins_with = scope.keep(executable);
        scope.keep(patched);
        // A library that was loaded later may search its own dependencies first (RTLD_DEEPBIND).
        if patched.is_none_or(|patched| !begins_with.contains(&patched)) {
            scope.executable = None;
        }
        Ok(scope)
    }

    /// Notes that `root` and what it needs, directly or not, stay loaded.
    fn keep(&mut self, root: Option<usize>) -> BTreeSet<usize> {
        let mut open: Vec<usize> = root.into_iter().collect();
        let mut kept = BTreeSet::new();
        while let Some(index) = open.pop() {
            if !kept.insert(index) {
                continue;
            }
            self.images[index].lasts = true;
            for name in &self.images[index].dynamic.needed {
                open.extend(self.images.iter().position(|other| other.is_called(name)));
            }
        }
        kept
    }

    /// The name of an image that defines `name`.
    fn definer(&self, name: &str) -> Option<&str> {
        let defines = |loaded: &&Loaded<'_>| loaded.dynamic.definition(name, None).is_some();
        self.images.iter().find(defines).map(|loaded| loaded.image.name.as_str())
    }

    /// The address of `symbol`, which is `NAME` or `NAME@VERSION`.
    fn find(&self, symbol: &str) -> std::result::Result<RuntimeAddr, Failure> {
        let refuse = |reason: String| Err(Failure::Reason(reason));
        let (name, version) = match symbol.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (symbol, None),
        };
        let definitions: Vec<(usize, Definition)> = self
            .images
            .iter()
            .enumerate()
            .filter_map(|(index, loaded)| Some((index, loaded.dynamic.definition(name, version)?)))
            .collect();
        let first = definitions.iter().find(|(index, _)| Some(*index) == self.executable);
        let (index, definition) = match (first, definitions.as_slice()) {
            (Some(first), _) | (None, [first]) => *first,
            (None, []) => return refuse("no library of the process defines it".to_owned()),
            (None, several) => {
                let names: Vec<&str> =
                    several.iter().map(|(index, _)| self.images[*index].image.name.as_str()).collect();
                return refuse(format!(
                    "{} define it, and which one is meant is not known",
                    names.join(", ")
                ));
            }
        };
        let loaded = &self.images[index];
        if !loaded.lasts {
            let name = &loaded.image.name;
            return refuse(format!("{name} defines it, which may be unloaded while the patch is applied"));
        }
        match definition.kind {
            STT_TLS => refuse("it is thread-local".to_owned()),
            STT_GNU_IFUNC => self.chosen(loaded, definition, name, version),
            _ => Ok(loaded.image.bias.at(definition.address)),
        }
    }

    /// What the resolver of an IFUNC has returned when the dynamic linker called it for somebody else.
    fn chosen(
        &self,
        definer: &Loaded<'_>,
        definition: Definition,
        name: &str,
        version: Option<&str>,
    ) -> std::result::Result<RuntimeAddr, Failure> {
        let mut found = BTreeSet::new();
        for loaded in &self.images {
            let is_definer = loaded.image.extent().start == definer.image.extent().start;
            for slot in loaded.dynamic.slots(&self.target.memory)? {
                let chosen = match slot.kind {
                    R_X86_64_IRELATIVE => is_definer && slot.addend as u64 == definition.address.0,
                    // A slot that waits for its first call leads back into its own image.
                    R_X86_64_JUMP_SLOT | R_X86_64_GLOB_DAT | R_X86_64_64 => {
                        !is_definer && slot.addend == 0 && slot.symbol == Some((name, version))
                    }
                    _ => false,
                };
                if chosen {
                    let value = self.target.memory.read_u64(loaded.image.bias.at(slot.address))?;
                    found.insert(RuntimeAddr(value));
                }
            }
        }
        found.retain(|address| {
            definer.image.segments().any(|segment| segment.execute && segment.memory.contains(*address))
        });
        match (found.pop_first(), found.is_empty()) {
            (Some(address), true) => Ok(address),
            (None, _) => Err(Failure::Reason(
                "which of its variants fits this processor (IFUNC) is not known: nothing in the process uses it yet"
                    .to_owned(),
            )),
            (Some(_), false) => {
                Err(Failure::Reason("the process uses several of its variants (IFUNC)".to_owned()))
            }
        }
    }
}
