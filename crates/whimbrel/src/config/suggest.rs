//! "Did you mean …?"

/// How many single-character changes turn `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let change = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// The known key that was probably meant: one that is spelt almost the same, or the same name in another section.
pub(crate) fn closest<'a>(unknown: &str, known: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let near = known.clone().map(|key| (distance(unknown, key), key)).min();
    let name = |key: &'a str| key.rsplit('.').next();
    let wanted = unknown.rsplit('.').next();
    match near {
        Some((steps, key)) if steps <= 1 + unknown.len() / 6 => Some(key),
        _ => known.clone().find(|key| name(key) == wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn a_slip_and_a_wrong_section_are_recognised_and_nonsense_is_not() {
        let known = ["clients.listen", "clients.max_connections", "http.listen", "tls.certificate"];
        let meant = |text| closest(text, known.into_iter());
        assert_eq!(meant("client.listen"), Some("clients.listen"));
        assert_eq!(meant("clients.max_conections"), Some("clients.max_connections"));
        assert_eq!(meant("http.certificate"), Some("tls.certificate"));
        assert_eq!(meant("weather.tomorrow"), None);
    }
}
