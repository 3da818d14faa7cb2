//! What finished pictures show, in numbers.

pub mod seams;
pub mod sheet;
