#include "model/template.h"

#include "model/limits.h"

static bool is_word(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool word_is_forbidden(struct view word) {
        static const char *const forbidden[] = {"import", "include", "extends", "attr", "format", "call"};

        if (word.p[0] == '_')
                return true;
        for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++)
                if (view_eq_str(word, forbidden[i]))
                        return true;
        return false;
}

void template_check(struct model_report *report, struct view text, const char *key, uint64_t at) {
        size_t i = 0;

        while (i < text.n) {
                size_t start = i;

                while (i < text.n && is_word(text.p[i]))
                        i++;
                if (i > start && word_is_forbidden(view_sub(text, start, i - start)))
                        report_put(report, RULE_TEMPLATE_STATEMENT, at + start, VIEW_NULL,
                                   "The chat template \"%s\" uses \"%s\".", key,
                                   report_quote(view_sub(text, start, i - start)).text);
                if (i == start)
                        i++;
        }
}
