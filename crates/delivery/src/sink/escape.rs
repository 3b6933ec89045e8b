//! Keys of objects as paths of files, one to one (docs/FORMAT.md, "Bucket directories").
//!
//! ```text
//! key     := segment ("/" segment)*         the last segment becomes a file, the others directories
//! %XX     a byte: '%', control characters, and the dot of a name "." and the second one of ".."
//! %n      at a name's end: the segment goes on in the name below (it is too long for one name)
//! %p      at a directory's end: it is empty, or looks like an object of a delivery stream
//! %o      at a file's end: it does not look like an object of a delivery stream
//! ```
//!
//! A segment looks like an object if `-yyyy-MM-dd-HH-mm-ss-<uuid>` stands in it. So all that delivery streams write is
//! found under its own name, and still no file's name can be that of a directory, in whatever order they come.

/// Longest name in bytes that is written without splitting. File systems end at 255, and the marks need two.
const MAX_NAME_BYTES: usize = 240;

/// `%n`, `%p`, `%o`: letters that are no hexadecimal digits.
const GOES_ON: &str = "%n";
const DIRECTORY: &str = "%p";
const FILE: &str = "%o";

/// What a UUID and the time before it look like: `0` a decimal digit, `x` a hexadecimal one.
const OBJECT_SHAPE: &[u8] = b"-0000-00-00-00-00-00-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

/// The path of `key` below its bucket's directory: names to be joined. No name is empty, `.` or `..`, holds `/` or a
/// control character, or is longer than 255 bytes; no two keys share a path; no key's path leads through another's.
#[must_use]
pub fn escape(key: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut segments = key.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_file = segments.peek().is_none();
        let mut name = String::new();
        for c in segment.chars() {
            let escaped = c == '%' || c.is_ascii_control();
            let width = if escaped { 3 } else { c.len_utf8() };
            if name.len() + width > MAX_NAME_BYTES {
                names.push(std::mem::take(&mut name) + GOES_ON);
            }
            if escaped {
                name.push('%');
                for nibble in [c as u8 >> 4, c as u8 & 15] {
                    name.push(char::from(b"0123456789ABCDEF"[usize::from(nibble)]));
                }
            } else {
                name.push(c);
            }
        }
        // What is left of a segment that was split may be a dot or two as well.
        match name.as_str() {
            "." => name = "%2E".to_owned(),
            ".." => name = ".%2E".to_owned(),
            _ => {}
        }
        match (is_file, looks_like_object(segment)) {
            (true, false) => name.push_str(FILE),
            (false, true) => name.push_str(DIRECTORY),
            (false, false) if segment.is_empty() => name.push_str(DIRECTORY),
            (true, true) | (false, false) => {}
        }
        names.push(name);
    }
    names
}

/// The key whose path this is, or `None` for a path that [`escape`] never gives.
#[must_use]
pub fn unescape<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let names: Vec<&str> = names.into_iter().collect();
    let mut key = String::new();
    for (at, name) in names.iter().enumerate() {
        let (text, ends) = match name.strip_suffix(GOES_ON) {
            Some(text) => (text, false),
            None => (name.strip_suffix(DIRECTORY).or_else(|| name.strip_suffix(FILE)).unwrap_or(name), true),
        };
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('%') {
            key.push_str(before);
            let byte = u8::from_str_radix(after.get(..2)?, 16).ok()?;
            key.push(char::from(byte));
            rest = &after[2..];
        }
        key.push_str(rest);
        if ends && at + 1 < names.len() {
            key.push('/');
        }
    }
    // Marks in wrong places, needless or lower-case escapes, foreign files: all that has another path of its own.
    (escape(&key).iter().map(String::as_str).eq(names)).then_some(key)
}

fn looks_like_object(segment: &str) -> bool {
    segment.as_bytes().windows(OBJECT_SHAPE.len()).any(|window| {
        window.iter().zip(OBJECT_SHAPE).all(|(byte, shape)| match shape {
            b'0' => byte.is_ascii_digit(),
            b'x' => byte.is_ascii_hexdigit(),
            _ => byte == shape,
        })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    const OBJECT: &str = "s-1-2026-07-13-14-05-09-07070707-0707-4707-8707-070707070707";

    #[test]
    fn what_delivery_streams_write_keeps_its_name() {
        for key in [
            format!("2026/07/13/14/{OBJECT}"),
            format!("2026/07/13/14/{OBJECT}.gz"),
            format!("dt=2026-07-13/site=a.example/v1.2/prefix{OBJECT}.json.gz"),
            format!("год/ñ/日本 + &'()*!@$,;=:{OBJECT}"),
            format!("...{OBJECT}"),
        ] {
            assert_eq!(escape(&key).join("/"), key);
        }
    }

    #[test]
    fn odd_keys() {
        let long = "x".repeat(300);
        let rows: &[(&str, &str)] = &[
            ("a", "a%o"),
            ("a/b", "a/b%o"),
            ("", "%o"),
            ("/", "%p/%o"),
            ("a/", "a/%o"),
            ("/a", "%p/a%o"),
            ("a//b", "a/%p/b%o"),
            (".", "%2E%o"),
            ("..", ".%2E%o"),
            ("../../etc/passwd", ".%2E/.%2E/etc/passwd%o"),
            ("./a", "%2E/a%o"),
            ("...", "...%o"),
            ("a%2Fb", "a%252Fb%o"),
            ("a%o", "a%25o%o"),
            ("a\0b\n\u{7f}", "a%00b%0A%7F%o"),
            ("a\\b", "a\\b%o"),
            (".%tmp/x", ".%25tmp/x%o"),
        ];
        for (key, path) in rows {
            assert_eq!(escape(key).join("/"), *path, "{key:?}");
        }
        assert_eq!(escape(&long), ["x".repeat(240) + "%n", "x".repeat(60) + "%o"]);
        let dots = format!("{0}./{0}..", "y".repeat(240));
        assert_eq!(escape(&dots), ["y".repeat(240) + "%n", "%2E".into(), "y".repeat(240) + "%n", ".%2E%o".into()]);
        assert_eq!(escape(&format!("{OBJECT}/{OBJECT}")), [format!("{OBJECT}%p"), OBJECT.to_owned()]);
    }

    #[test]
    fn foreign_paths_are_no_keys() {
        for path in ["a", "a%p/b%o", "%2e%o", "%41%o", "a%o/b%o", "..", "x%n/", ".%tmp", "a%", "a%2%o", "%C3%o", ""] {
            assert_eq!(unescape(path.split('/')), None, "{path:?}");
        }
    }

    /// Keys made of what is troublesome: separators, dots, marks, long runs, the shape of an object.
    fn key() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("/".to_owned()),
            Just("/".to_owned()),
            Just(".".to_owned()),
            Just("%".to_owned()),
            Just("%n".to_owned()),
            Just("%o".to_owned()),
            Just("%p".to_owned()),
            Just("a".to_owned()),
            Just("b".to_owned()),
            Just("\0".to_owned()),
            Just("é".to_owned()),
            Just(OBJECT.to_owned()),
            (238usize..245).prop_map(|n| "y".repeat(n)),
            any::<char>().prop_map(String::from),
        ];
        proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn every_key_comes_back(key in key()) {
            let names = escape(&key);
            prop_assert_eq!(unescape(names.iter().map(String::as_str)), Some(key));
        }

        #[test]
        fn no_name_leaves_its_directory(key in key()) {
            for name in escape(&key) {
                prop_assert!(!name.is_empty() && name != "." && name != ".." && name.len() <= 255, "{:?}", name);
                prop_assert!(!name.contains('/') && !name.chars().any(|c| c.is_ascii_control()), "{:?}", name);
            }
        }

        /// No path is another's, nor a directory on the way to another's.
        #[test]
        fn no_key_blocks_another(keys in proptest::collection::hash_set(key(), 2..40)) {
            let mut nodes: HashMap<Vec<String>, bool> = HashMap::new();
            for key in &keys {
                let names = escape(key);
                for depth in 1..=names.len() {
                    let is_file = depth == names.len();
                    let before = nodes.insert(names[..depth].to_vec(), is_file);
                    prop_assert!(before.is_none_or(|was_file| !was_file && !is_file), "{:?} in {:?}", names, keys);
                }
            }
        }
    }
}
