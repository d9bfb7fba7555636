//! The input line: text and a cursor that stands between characters as people count them (grapheme clusters).

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Longest input, bytes: what fits into a message with room to spare.
const INPUT_MAX: usize = 16 * 1024;

/// One line that is being typed.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Editor {
    text: String,
    /// Byte offset, always at a boundary of grapheme clusters.
    cursor: usize,
}

impl Editor {
    /// What is typed so far.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Takes the line, and is empty after it.
    pub(super) fn take(&mut self) -> String {
        self.cursor = 0;
        std::mem::take(&mut self.text)
    }

    /// Puts text at the cursor; line breaks become spaces, other control characters are left out.
    pub(super) fn insert(&mut self, text: &str) {
        let clean: String = text
            .replace("\r\n", " ")
            .chars()
            .map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c })
            .filter(|c| !c.is_control())
            .collect();
        if self.text.len() + clean.len() <= INPUT_MAX {
            self.text.insert_str(self.cursor, &clean);
            self.cursor += clean.len();
        }
    }

    pub(super) fn left(&mut self) {
        self.cursor = self.before();
    }

    pub(super) fn right(&mut self) {
        let next = self.text[self.cursor..].graphemes(true).next().map_or(0, str::len);
        self.cursor += next;
    }

    pub(super) fn home(&mut self) {
        self.cursor = 0;
    }

    pub(super) fn end(&mut self) {
        self.cursor = self.text.len();
    }

    pub(super) fn backspace(&mut self) {
        let start = self.before();
        self.text.replace_range(start..self.cursor, "");
        self.cursor = start;
    }

    pub(super) fn delete(&mut self) {
        let len = self.text[self.cursor..].graphemes(true).next().map_or(0, str::len);
        self.text.replace_range(self.cursor..self.cursor + len, "");
    }

    /// Removes the word before the cursor.
    pub(super) fn delete_word(&mut self) {
        let before = self.text[..self.cursor].trim_end();
        let start = before.rfind(' ').map_or(0, |space| space + 1);
        self.text.replace_range(start..self.cursor, "");
        self.cursor = start;
    }

    /// Removes everything before the cursor.
    pub(super) fn delete_to_start(&mut self) {
        self.text.replace_range(..self.cursor, "");
        self.cursor = 0;
    }

    /// The part that fits into `width` columns around the cursor, and the cursor's column in it.
    pub(super) fn window(&self, width: usize) -> (String, usize) {
        let room = width.saturating_sub(1);
        let mut start = self.cursor;
        let mut before = 0;
        for (at, cluster) in self.text[..self.cursor].grapheme_indices(true).rev() {
            if before + cluster.width() > room {
                break;
            }
            before += cluster.width();
            start = at;
        }
        let mut shown = String::new();
        let mut columns = 0;
        for cluster in self.text[start..].graphemes(true) {
            if columns + cluster.width() > room {
                break;
            }
            columns += cluster.width();
            shown.push_str(cluster);
        }
        (shown, before)
    }

    fn before(&self) -> usize {
        self.text[..self.cursor].grapheme_indices(true).next_back().map_or(0, |(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Editor {
        let mut editor = Editor::default();
        editor.insert(text);
        editor
    }

    #[test]
    fn the_cursor_steps_over_what_people_see_as_one_character() {
        let mut editor = typed("a你👩‍👩‍👧e\u{301}");
        for _ in 0..2 {
            editor.left();
        }
        editor.backspace();
        assert_eq!(editor.text(), "a👩‍👩‍👧e\u{301}");
        editor.delete();
        assert_eq!(editor.text(), "ae\u{301}");
    }

    #[test]
    fn words_and_lines_are_removed_before_the_cursor_only() {
        let mut editor = typed("one two  three");
        editor.left();
        editor.delete_word();
        assert_eq!(editor.text(), "one two  e");
        editor.delete_to_start();
        assert_eq!((editor.text(), editor.window(10)), ("e", ("e".to_owned(), 0)));
    }

    #[test]
    fn a_long_line_is_shown_around_the_cursor_in_whole_characters() {
        let mut editor = typed("你好世界你好世界");
        let (shown, column) = editor.window(8);
        assert_eq!((shown.as_str(), column), ("好世界", 6));
        editor.home();
        assert_eq!(editor.window(8), ("你好世".to_owned(), 0));
    }

    #[test]
    fn pasted_control_characters_do_not_reach_the_screen() {
        assert_eq!(typed("a\r\nx\ry\n\u{1b}[31mb\tc").text(), "a x y [31mb c");
    }
}
