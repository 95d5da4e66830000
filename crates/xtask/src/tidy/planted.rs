//! The rule for planted bugs: each still fits the source that it would break.

use std::collections::BTreeMap;

use super::{Finding, Tree};
use crate::mutants;

/// Every planted bug can be read, and finds the text it replaces, exactly once.
pub(super) fn fit(tree: &Tree) -> Vec<Finding> {
    let mut planted = Vec::new();
    let mut paths = BTreeMap::new();
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| mutants::is_mutant(&file.path)) {
        match mutants::read(&file.path, &file.text) {
            Ok(mutant) => {
                paths.insert(mutant.name.clone(), file.path.as_str());
                planted.push(mutant);
            }
            Err(error) => findings.push(file.finding(
                1,
                "a planted bug",
                format!("{error:#}"),
                "write it as crates/sim/mutants/README.md says",
            )),
        }
    }
    let (_, misfits) = mutants::plant(&planted, |path| tree.file(path).map(|f| f.text.clone()));
    for misfit in misfits {
        findings.push(Finding::at(
            paths[&misfit.mutant],
            1,
            "a planted bug that fits the source",
            misfit.reason,
            "write it anew, and see that it is found again",
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::tests::places;
    use super::*;

    const MUTANT: &str = "what: A.\nsource: b\n\nfile: crates/raft/src/a.rs\nkind: expr\n\
                          before: x + 1\nafter: x\n";

    #[test]
    fn planted_bug_that_no_longer_fits_is_found() {
        let fits = Tree::of(&[
            ("crates/raft/src/a.rs", "let y = x + 1;\n"),
            ("crates/sim/mutants/one.mutant", MUTANT),
        ]);
        assert_eq!(fit(&fits), []);
        let gone = Tree::of(&[
            ("crates/raft/src/a.rs", "let y = x + 2;\n"),
            ("crates/sim/mutants/one.mutant", MUTANT),
            ("crates/sim/mutants/two.mutant", "what?\n"),
        ]);
        assert_eq!(
            places(&fit(&gone)),
            ["crates/sim/mutants/two.mutant:1", "crates/sim/mutants/one.mutant:1"]
        );
    }
}
