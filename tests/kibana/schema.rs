//! In: a shape and a value. Out: every place where the value is not of the shape, an unknown key among them.
//! Never: guesses: a key that no published source has is wrong.
//!
//! A shape is one of: `"string"`, `"boolean"`, `"integer"`, `"number"`, `"null"`, `"any"`; `{"keys": {...}}`, a name ending in `?` being optional;
//! `{"list": SHAPE}`; `{"map": SHAPE}` with keys of one's own; `{"json": SHAPE}`, text that is JSON; `{"one of": [values]}`;
//! `{"either": [SHAPES]}`; `{"see": "name"}`, a shape of the file's `shapes`.

use serde_json::Value;

pub struct Shapes(Value);

impl Shapes {
    pub fn read(text: &str) -> Self {
        Self(serde_json::from_str(text).expect("the file of shapes is JSON"))
    }

    /// What is wrong with the value, with the path to it.
    pub fn wrong(&self, name: &str, value: &Value) -> Vec<String> {
        let mut wrong = Vec::new();
        self.check(&self.0["shapes"][name], value, name, &mut wrong);
        wrong
    }

    fn check(&self, shape: &Value, value: &Value, path: &str, wrong: &mut Vec<String>) {
        if let Some(word) = shape.as_str() {
            let fits = match word {
                "string" => value.is_string(),
                "boolean" => value.is_boolean(),
                "integer" => value.is_i64() || value.is_u64(),
                "number" => value.is_number(),
                "null" => value.is_null(),
                "any" => true,
                other => panic!("{path}: no shape is called {other:?}"),
            };
            if !fits {
                wrong.push(format!("{path}: not a {word}: {value}"));
            }
            return;
        }
        let shape = shape
            .as_object()
            .unwrap_or_else(|| panic!("{path}: no shape"));
        let (kind, inner) = shape.iter().next().expect("a shape");
        match kind.as_str() {
            "see" => {
                let name = inner.as_str().unwrap();
                self.check(&self.0["shapes"][name], value, path, wrong);
            }
            "keys" => self.check_keys(inner, value, path, wrong),
            "list" => match value.as_array() {
                Some(items) => {
                    for (at, item) in items.iter().enumerate() {
                        self.check(inner, item, &format!("{path}[{at}]"), wrong);
                    }
                }
                None => wrong.push(format!("{path}: not a list: {value}")),
            },
            "map" => match value.as_object() {
                Some(map) => {
                    for (key, item) in map {
                        self.check(inner, item, &format!("{path}.{key}"), wrong);
                    }
                }
                None => wrong.push(format!("{path}: not an object: {value}")),
            },
            "json" => match value.as_str().map(serde_json::from_str::<Value>) {
                Some(Ok(parsed)) => self.check(inner, &parsed, &format!("{path}<json>"), wrong),
                _ => wrong.push(format!("{path}: not a text of JSON: {value}")),
            },
            "one of" => {
                if !inner.as_array().unwrap().contains(value) {
                    wrong.push(format!("{path}: {value} is not one of {inner}"));
                }
            }
            "either" => self.check_either(inner, value, path, wrong),
            other => panic!("{path}: no shape is called {other:?}"),
        }
    }

    fn check_keys(&self, keys: &Value, value: &Value, path: &str, wrong: &mut Vec<String>) {
        let Some(object) = value.as_object() else {
            wrong.push(format!("{path}: not an object: {value}"));
            return;
        };
        let keys = keys.as_object().unwrap();
        for (name, shape) in keys {
            let plain = name.trim_end_matches('?');
            match object.get(plain) {
                Some(item) => self.check(shape, item, &format!("{path}.{plain}"), wrong),
                None if name.ends_with('?') => {}
                None => wrong.push(format!("{path}.{plain}: missing")),
            }
        }
        for name in object.keys() {
            if !keys.contains_key(name) && !keys.contains_key(&format!("{name}?")) {
                wrong.push(format!("{path}.{name}: an unknown key"));
            }
        }
    }

    /// The complaints of the shape that fits best.
    fn check_either(&self, shapes: &Value, value: &Value, path: &str, wrong: &mut Vec<String>) {
        let complaints = shapes.as_array().unwrap().iter().map(|shape| {
            let mut wrong = Vec::new();
            self.check(shape, value, path, &mut wrong);
            wrong
        });
        wrong.extend(complaints.min_by_key(Vec::len).unwrap());
    }
}

#[test]
fn a_shape_refuses_what_is_unknown_missing_or_of_another_kind() {
    let shapes = Shapes::read(
        r#"{"shapes": {"a": {"keys": {"n": "integer", "t?": {"json": {"list": "string"}}, "w?": {"one of": ["x"]}}}}}"#,
    );
    let wrong = |text: &str| shapes.wrong("a", &serde_json::from_str(text).unwrap());
    assert!(wrong(r#"{"n": 1}"#).is_empty());
    assert!(wrong(r#"{"n": 1, "t": "[\"a\"]", "w": "x"}"#).is_empty());
    assert_eq!(wrong(r#"{"n": 1, "m": 2}"#), ["a.m: an unknown key"]);
    assert_eq!(wrong("{}"), ["a.n: missing"]);
    assert_eq!(wrong(r#"{"n": "1"}"#), ["a.n: not a integer: \"1\""]);
    assert_eq!(
        wrong(r#"{"n": 1, "t": "[1]"}"#),
        ["a.t<json>[0]: not a string: 1"]
    );
    assert_eq!(
        wrong(r#"{"n": 1, "w": "y"}"#),
        ["a.w: \"y\" is not one of [\"x\"]"]
    );
}
