//! How many processors the process may use.

use std::num::NonZero;

/// Processors that this process may use, by its affinity and the limits of its control groups.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Threads to compute with when `asked` are asked for, 0 meaning all: never more than there are
/// processors, since every thread has working memory and more of them are only slower. When that is
/// fewer than asked, the words to say so.
pub fn threads(asked: usize) -> (usize, Option<String>) {
    capped(asked, processors())
}

fn capped(asked: usize, processors: usize) -> (usize, Option<String>) {
    match asked {
        0 => (processors, None),
        _ if asked <= processors => (asked, None),
        _ => {
            let there = match processors {
                1 => "is 1 processor".to_string(),
                _ => format!("are {processors} processors"),
            };
            let threads = if processors == 1 { "1 thread is" } else { "as many threads are" };
            let words = format!(
                "{asked} threads are asked for and there {there} that this process may use: {threads} used"
            );
            (processors, Some(words))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_no_more_than_processors() {
        assert_eq!(capped(0, 8), (8, None));
        assert_eq!(capped(3, 8), (3, None));
        assert_eq!(capped(8, 8), (8, None));
        let (count, words) = capped(1024, 2);
        assert_eq!(count, 2);
        let words = words.expect("it is worth a word");
        assert!(words.contains("1024") && words.contains("2 processors"), "{words}");
        assert!(capped(2, 1).1.is_some_and(|words| words.contains("1 thread is used")));
        assert!(processors() >= 1);
    }
}
