/* template_rules: the names that real chat templates use, and nothing else. Pure tables. */
#pragma once

#include "base/view.h"

bool template_function_is_allowed(struct view name); /* raise_exception(…) */
bool template_global_is_forbidden(
        struct view name); /* objects that lead into the template engine: lipsum, self */
bool template_test_is_allowed(struct view name);    /* is defined */
bool template_field_is_allowed(struct view name);   /* message.content, loop.first */
bool template_field_is_forbidden(struct view name); /* even when the template defines a member of that name */
bool template_field_is_number(struct view name);    /* of loop */
/* Fields whose content comes from whoever writes a message. */
bool template_field_is_content(struct view name);
bool template_statement_is_known(struct view name); /* a Jinja statement, though not an allowed one */

/* What comes out of a filter or a method. */
enum template_result {
        RESULT_SAME,   /* as what went in: trim, first */
        RESULT_NUMBER, /* length */
        RESULT_BUILT,  /* a text put together: join, replace */
        RESULT_OTHER   /* data: items, list */
};
struct template_filter {
        const char *name;
        enum template_result result;
        uint8_t arguments; /* at most; further ones would name attributes */
};
const struct template_filter *template_filter_find(struct view name); /* NULL: not allowed */
const struct template_filter *template_method_find(struct view name); /* NULL: not allowed */
