//! A patch that takes the place of one that was reverted.

use serde_json::Value;
use tardigrade_tests::live::{Fix, Live, refused, tardigrade};
use tardigrade_tests::{Form, Pair};

const SOURCE: &str = include_str!("targets/server.c");

/// Two patches for the same build: of one function, and of that and another one.
fn fixes() -> [Fix; 2] {
    let first = SOURCE.replace("* 3 + 1", "* 3 + 2");
    let both = SOURCE.replace("* 3 + 1", "* 3 + 5").replace("answer(*(int *)x) + 1", "answer(*(int *)x) + 2");
    [first, both]
        .map(|new| Fix::of(Pair::c(SOURCE, &new).form(Form::Pie).flags(&["-pthread", "-fno-inline"])))
}

fn states(live: &Live) -> Vec<Value> {
    let ran = tardigrade(&["list", "--pid", &live.pid().to_string(), "--json"]);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    let patches = ran.json()["processes"][0]["patches"].as_array().expect("a list of patches").clone();
    patches.into_iter().map(|patch| patch["state"].clone()).collect()
}

#[test]
fn reverted_patch_beneath_a_cumulative_one() {
    let [first, both] = fixes();
    let mut live = first.start(&[]);
    let pid = live.pid();
    first.succeeds("apply", pid, "applied");
    assert_eq!(live.number("a"), 2);
    refused(&both.operate("apply", pid, &["--timeout", "1"]), 4, &["answer"]);
    first.succeeds("revert", pid, "reverted");
    both.succeeds("apply", pid, "applied");
    assert_eq!((live.number("a"), live.number("s")), (5, 7));

    // The first one is as reverted as before.
    let mut found = states(&live);
    found.sort_by_key(Value::to_string);
    assert_eq!(found, ["applied", "inert"]);
    first.succeeds("revert", pid, "absent");
    refused(&first.operate("apply", pid, &["--timeout", "1"]), 4, &["answer"]);
    assert_eq!(live.number("a"), 5);

    both.succeeds("revert", pid, "reverted");
    first.succeeds("apply", pid, "applied");
    assert_eq!((live.number("a"), live.number("s")), (2, 3));
    live.quit();
}
