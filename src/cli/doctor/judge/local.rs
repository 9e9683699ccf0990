//! The file of the agent's socket.

use super::super::finding::{Finding, Report, Severity};
use super::Facts;

/// Write permission for everybody is permission to connect, unix(7).
const EVERYBODY: u32 = 0o002;

pub(super) fn judge(facts: &Facts, report: &mut Report) {
    let before = report.findings.len();
    let Some(socket) = &facts.socket else { return };
    if socket.mode & EVERYBODY != 0 {
        report.add(
            Finding::new("socket_open_to_all", Severity::Warning, &socket.path)
                .seen(format!("mode {:04o}: every user of this host may connect to {}", socket.mode, socket.path))
                .means("without rules under [access], each may register and deregister services and make the agent leave")
                .remedy("socket_mode = \"0660\" and socket_group in the configuration, or rules under [access] (docs/configuration.md)"),
        );
    }
    report.pass_since(before, "socket", format!("{} has mode {:04o}", socket.path, socket.mode));
}

#[cfg(test)]
mod tests {
    use super::super::testing::names;
    use super::*;

    #[test]
    fn a_socket_for_everybody_is_told_of() {
        let mode = |mode| move |facts: &mut Facts| facts.socket.as_mut().expect("has one").mode = mode;
        assert_eq!(names(judge, mode(0o666)), ["socket_open_to_all"]);
        assert!(names(judge, mode(0o660)).is_empty());
        assert!(names(judge, |facts| facts.socket = None).is_empty());
    }
}
