//! Escaped keys on the file system of the machine that runs the test.
#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(clippy::disallowed_methods, reason = "a real file system is the point")]

use std::collections::BTreeMap;
use std::path::Path;

use levada_delivery::escape::{escape, unescape};

fn list(root: &Path, dir: &Path, found: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list(root, &path, found);
        } else {
            let names = path.strip_prefix(root).unwrap().components().map(|name| name.as_os_str().to_str().unwrap());
            let key = unescape(names.collect::<Vec<_>>()).unwrap();
            found.insert(key, std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_key_of_s3s_length_can_be_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let keys: Vec<String> = ["a", "%", "/", "é", "../", "./", "\u{1}", "日本/", "a/b"]
        .iter()
        .flat_map(|piece| [piece.repeat(1024 / piece.len()), (*piece).to_owned()])
        .collect();
    for key in &keys {
        let path = escape(key).iter().fold(dir.path().to_owned(), |path, name| path.join(name));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, key).unwrap();
    }
    let mut found = BTreeMap::new();
    list(dir.path(), dir.path(), &mut found);
    assert_eq!(found, keys.iter().map(|key| (key.clone(), key.clone())).collect());
}
