//! Whether registrations can be kept.

use super::super::finding::{Finding, Report, Severity};
use super::{Facts, show_bytes};

const LITTLE: u64 = 64 << 20;
const NEXT_TO_NOTHING: u64 = 4 << 20;
const FILES_FEW: u64 = 100;

pub(super) fn judge(facts: &Facts, report: &mut Report) {
    let before = report.findings.len();
    let e = &facts.examination;
    let Some(disk) = &e.disk else {
        return report.pass_since(before, "disk", "everything is kept in memory (--no-persist)");
    };
    if let Some(error) = &disk.error {
        report.add(
            Finding::new("data_dir_unwritable", Severity::Critical, &disk.path)
                .seen(format!("{}: {error}", disk.path))
                .means("changes of registrations are refused, and a restart knows what was saved last")
                .remedy(format!(
                    "`ls -ld {path}` and `findmnt -T {path}`: it has to belong to the agent's user (`chown -R shoal: \
                     {path}`) on a file system that is not read-only",
                    path = disk.path
                )),
        );
    }
    let free = disk.free.unwrap_or(u64::MAX);
    if free < LITTLE || disk.free_files.is_some_and(|files| files < FILES_FEW) {
        let files = disk.free_files.map_or(String::new(), |files| format!(" and {files} files"));
        let severity = if free < NEXT_TO_NOTHING { Severity::Critical } else { Severity::Warning };
        report.add(
            Finding::new("disk_full", severity, &disk.path)
                .seen(format!("{}{files} free at {}", show_bytes(free), disk.path))
                .means("when nothing is left, registrations are refused")
                .remedy(format!("make room: `df -h {path}`, `df -i {path}`", path = disk.path)),
        );
    }
    if disk.writes_failed > 0 {
        report.add(
            Finding::new("state_not_saved", Severity::Warning, &disk.path)
                .seen(format!("{} writes of the state failed since the start", disk.writes_failed))
                .means("registrations were refused then; the log has the reason of each")
                .remedy(
                    "`journalctl -u shoal | grep 'state file'`; if the disk is well now, nothing is lost",
                ),
        );
    }
    let free = disk.free.map_or("unknown room".to_owned(), show_bytes);
    report.pass_since(before, "disk", format!("{} can be written to, {free} free", disk.path));
}

#[cfg(test)]
mod tests {
    use super::super::testing::{found, names};
    use super::*;
    use crate::model::DiskFacts;

    fn disk(spoil: impl FnOnce(&mut DiskFacts)) -> impl FnOnce(&mut Facts) {
        |facts| spoil(facts.examination.disk.as_mut().expect("has one"))
    }

    #[test]
    fn what_keeps_registrations_from_being_kept_is_found() {
        let denied = found(judge, disk(|d| d.error = Some("Read-only file system".to_owned())));
        assert_eq!((denied[0].name, denied[0].severity), ("data_dir_unwritable", Severity::Critical));
        assert!(denied[0].remedy.contains("/var/lib/shoal"));
        assert_eq!(found(judge, disk(|d| d.free = Some(10 << 20)))[0].severity, Severity::Warning);
        assert_eq!(found(judge, disk(|d| d.free = Some(1_000)))[0].severity, Severity::Critical);
        assert_eq!(names(judge, disk(|d| d.free_files = Some(3))), ["disk_full"]);
        assert_eq!(names(judge, disk(|d| d.writes_failed = 2)), ["state_not_saved"]);
        assert!(names(judge, |facts| facts.examination.disk = None).is_empty());
    }
}
