//! A campaign that is killed again and again ends with the records of one that never was.

use super::{Instants, killed_after, kills, timed};
use crate::workbench::Workbench;

#[test]
fn a_campaign_killed_at_any_instant_continues_to_the_same_digest() {
    let bench = Workbench::new();
    bench.models();
    bench.plan("seed = 11\nchips = 60\ntargets = [\"embedding\", \"all\"]\nrates = [1e-5, 1e-3]\n");
    let (status, whole) = timed(bench.command(&["run", "plan.toml", "--out", "whole"]));
    assert!(status.success(), "{status}");
    let digest = bench.digest("whole");
    assert_eq!(digest.len(), 64);
    let (mut instants, mut killed, mut continued) = (Instants::new(1), 0, 0);
    while killed < kills() {
        continued += 1;
        let out = format!("killed-{continued}");
        let words = ["run", "plan.toml", "--out", &out];
        // A few kills a campaign, so that some fall on a late part of it.
        for _ in 0..4 {
            if killed_after(bench.command(&words), instants.below(whole.mul_f64(1.1))).is_none() {
                break;
            }
            killed += 1;
            // A kill leaves either no records yet or records that can be read.
            let read = bench.run(&format!("export {out} --digest"));
            assert!(read.code == Some(0) || read.err.contains("no records"), "kill {killed}: {}", read.err);
        }
        let (status, _) = timed(bench.command(&words));
        assert!(status.success(), "kill {killed}: {status}");
        assert_eq!(bench.digest(&out), digest, "kill {killed}");
        std::fs::remove_dir_all(bench.path(&out)).expect("a campaign can be removed");
    }
    println!("drill campaign: {killed} kills over {continued} campaigns, 0 digests differ");
}
