//! What changed type layouts mean for live data.

use crate::dwarf::{DebugInfo, LayoutChange, LayoutChangeKind, compare_layouts};
use crate::report::{Refusal, RefusalKind};
use std::collections::BTreeSet;

/// The outcome of the layout check.
#[derive(Debug, Default)]
pub struct TypeCheck {
    /// True if all types around the changed functions could be compared.
    pub checked: bool,
    /// Layouts that live data has and new code would misread.
    pub refusals: Vec<Refusal>,
    /// What does not stand in the way but should be known.
    pub warnings: Vec<String>,
}

/// Compares the types that the given functions touch. `used_variables` are the names of the variables that changed
/// functions refer to.
pub fn check(
    old: Option<&DebugInfo<'_>>,
    old_functions: &[(String, u64)],
    new: Option<&DebugInfo<'_>>,
    new_functions: &[(String, u64)],
    used_variables: &BTreeSet<String>,
) -> TypeCheck {
    let (Some(old), Some(new)) = (old, new) else {
        let warning =
            "types were not checked: a build has no debugging information (compile with -g)".to_owned();
        return TypeCheck { warnings: vec![warning], ..TypeCheck::default() };
    };
    let report = match compare_layouts(old, old_functions, new, new_functions) {
        Ok(report) => report,
        Err(error) => {
            let warning = format!("types were not checked: {error}");
            return TypeCheck { warnings: vec![warning], ..TypeCheck::default() };
        }
    };
    let mut out = TypeCheck { checked: report.checked, ..TypeCheck::default() };
    if !report.checked {
        let names = report.unchecked_functions.join(", ");
        out.warnings.push(format!(
            "types were not checked for {names}: no debugging information describes them or their types"
        ));
    }
    for change in &report.changes {
        out.judge(change, used_variables);
    }
    for variable in report.variables.iter().filter(|variable| !variable.constant) {
        let detail = format!(
            "the live variable{} changes its type from {} to {}",
            in_file(variable.file.as_deref()),
            variable.old_type,
            variable.new_type
        );
        out.refusals.push(Refusal::new(RefusalKind::TypeLayout, &variable.name, detail));
    }
    for prototype in &report.prototypes {
        out.warnings.push(format!(
            "the prototype of {} changed from {} to {}",
            prototype.function, prototype.old, prototype.new
        ));
    }
    out
}

fn in_file(file: Option<&str>) -> String {
    file.map(|file| format!(" in {file}")).unwrap_or_default()
}

impl TypeCheck {
    fn judge(&mut self, change: &LayoutChange, used_variables: &BTreeSet<String>) {
        let live = !change.functions.is_empty()
            || change.variables.iter().any(|name| {
                // The variable's own name is the last piece of its path.
                used_variables.contains(name.rsplit("::").next().unwrap_or(name))
            });
        let text = format!("{}{}: {}", change.type_name, in_file(change.file.as_deref()), change.detail);
        let harmless = change.kinds.iter().all(|kind| matches!(kind, LayoutChangeKind::EnumeratorAdded));
        if !live {
            self.warnings.push(format!("{text}; no changed function touches it"));
        } else if harmless {
            self.warnings.push(text);
        } else {
            self.refusals.push(Refusal {
                kind: RefusalKind::TypeLayout,
                subject: change.type_name.clone(),
                detail: format!(
                    "its layout{} changes and live objects have the old one: {}",
                    in_file(change.file.as_deref()),
                    change.detail
                ),
                functions: change.functions.clone(),
            });
        }
    }
}
