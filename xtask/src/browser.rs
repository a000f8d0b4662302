//! The browser that the tests of the report's page drive.

use std::env;
use std::path::PathBuf;

/// Names that it goes by.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// Where the tests of crates/report find no browser: what is then not tested, and how to get one.
pub(crate) fn missing() -> Option<String> {
    let dirs: Vec<PathBuf> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    told(env::var_os("RADHARD_CHROMIUM").is_some(), &dirs)
}

fn told(named: bool, dirs: &[PathBuf]) -> Option<String> {
    let found = named || NAMES.iter().any(|name| dirs.iter().any(|dir| dir.join(name).is_file()));
    (!found).then(|| {
        format!(
            "NOT TESTED: the report's page in a browser (crates/report/tests/browser), since none of {} is in PATH. \
             Install one (Debian: apt install chromium) or set RADHARD_CHROMIUM to its path.",
            NAMES.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_a_browser_is_told_how_to_get_one() {
        let nowhere = [PathBuf::from("/nowhere")];
        let said = told(false, &nowhere).expect("no browser there");
        assert!(said.starts_with("NOT TESTED") && said.contains("RADHARD_CHROMIUM"));
        assert_eq!(told(true, &nowhere), None);
    }
}
