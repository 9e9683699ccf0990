use strsim::damerau_levenshtein;

/// The candidate that `word` was probably meant to be, if one is close enough: a slip of the
/// pen, or a beginning that only one candidate has.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let candidates: Vec<&str> = candidates.into_iter().collect();
    let slips_max = (word.chars().count() / 3).max(1);
    let slips = |candidate: &&str| (damerau_levenshtein(&word, &candidate.to_lowercase()), candidate.len());
    let closest = candidates.iter().copied().min_by_key(|candidate| slips(candidate));
    if let Some(closest) = closest
        && slips(&closest).0 <= slips_max
    {
        return Some(closest);
    }
    let mut begun = candidates.into_iter().filter(|c| word.len() >= 2 && c.to_lowercase().starts_with(&word));
    begun.next().filter(|_| begun.next().is_none())
}

/// `: did you mean "x"?` for the nearest candidate, or nothing.
pub(super) fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map(|near| format!("; did you mean {near:?}?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_and_beginnings_are_recognised_and_strangers_are_not() {
        let names = ["web", "cart", "payment", "payment-db"];
        assert_eq!(nearest("wbe", names), Some("web"));
        assert_eq!(nearest("WEB", names), Some("web"));
        assert_eq!(nearest("paymnet", names), Some("payment"));
        assert_eq!(nearest("ca", names), Some("cart"));
        assert_eq!(nearest("pay", names), None);
        assert_eq!(nearest("orders", names), None);
        assert_eq!(nearest("x", []), None);
    }
}
