#include "wire/yaml.h"

#include <yaml.h>

#include "base/text.h"
#include "wire/json_tree.h"

#define TEXT_MAX      ((size_t)1 << 20)
#define MEMORY_FACTOR ((size_t)64) /* "- 1\n" is four bytes of text and one node */
#define MEMORY_EXTRA  ((size_t)64 << 10)

struct level {
        struct json *node;
        struct json **slot; /* where its next child goes */
        struct view key;    /* of the member whose value comes next */
        uint64_t key_line;
        bool has_key;
};

struct builder {
        struct json_document *doc;
        struct level level[JSON_DEPTH_MAX];
        unsigned depth;
        unsigned documents;
        struct fault *fault;
};

static void event_donep(yaml_event_t *event) {
        yaml_event_delete(event);
}

static void parser_donep(yaml_parser_t *parser) {
        yaml_parser_delete(parser);
}

static int refuse(struct builder *b, const char *rule, uint64_t line, const char *text) {
        return fault_set(b->fault, -EBADMSG, rule, line, "%s", text);
}

static int fault_memory(struct builder *b, int code, uint64_t line) {
        return fault_set(b->fault, code, code == -E2BIG ? "YAML-014" : "YAML-019", line, "%s",
                         code == -E2BIG ? "the file needs more memory than its limit" : "out of memory");
}

static uint64_t line_of(const yaml_event_t *event) {
        return (uint64_t)event->start_mark.line + 1;
}

static int copy_scalar(struct builder *b, const yaml_event_t *event, struct view *ret) {
        size_t n = event->data.scalar.length;
        char *p;
        int r = json_document_bytes(b->doc, n + 1, &p);

        if (r < 0)
                return fault_memory(b, r, line_of(event));
        memcpy(p, event->data.scalar.value, n);
        p[n] = '\0'; /* json_scan_number needs an end */
        *ret = (struct view){p, n};
        return 0;
}

/* What may not stand before any node. */
static int check_properties(struct builder *b, const yaml_char_t *anchor, const yaml_char_t *tag,
                            uint64_t line) {
        if (anchor)
                return refuse(b, "YAML-007", line,
                              "anchors and aliases are not allowed; write the value out");
        if (tag)
                return refuse(b, "YAML-008", line, "tags (!…) are not allowed");
        return 0;
}

/* A node in its place: behind its key, in its list, or as the root. */
static int add_node(struct builder *b, uint64_t line, struct json **ret) {
        struct level *parent = b->depth > 0 ? &b->level[b->depth - 1] : NULL;
        struct json *node;
        int r = json_document_node(b->doc, &node);

        if (r < 0)
                return fault_memory(b, r, line);
        node->at = line;
        if (!parent)
                b->doc->root = node;
        else {
                if (parent->has_key) {
                        node->key = parent->key;
                        node->at = parent->key_line; /* people look for the name */
                        parent->has_key = false;
                }
                *parent->slot = node;
                parent->slot = &node->next;
                parent->node->count++;
        }
        *ret = node;
        return 0;
}

static bool key_is_due(const struct builder *b) {
        return b->depth > 0 && b->level[b->depth - 1].node->type == JSON_OBJECT &&
               !b->level[b->depth - 1].has_key;
}

/* The core schema of YAML 1.2, with numbers as JSON writes them; everything else is a string. */
static int resolve_plain(struct builder *b, struct json *node) {
        struct view text = node->text;
        struct json number = {0};
        const char *end = NULL;
        int r;

        if (text.n == 0 || view_eq(text, VIEW("null")) || view_eq(text, VIEW("~"))) {
                node->type = JSON_NULL;
                node->text = VIEW_NULL;
                return 0;
        }
        if (view_eq(text, VIEW("true")) || view_eq(text, VIEW("false"))) {
                node->type = JSON_BOOL;
                node->boolean = text.n == 4;
                node->text = VIEW_NULL;
                return 0;
        }
        r = json_scan_number(text.p, &number, &end);
        if (end != text.p + text.n || r == -EBADMSG)
                return 0;
        if (r == -ERANGE)
                return refuse(b, "YAML-015", node->at,
                              "the number is too large for a double; quote it when it is text");
        node->type = JSON_NUMBER;
        node->is_integer = number.is_integer;
        node->is_negative = number.is_negative;
        node->integer = number.integer;
        return 0;
}

static int on_scalar(struct builder *b, const yaml_event_t *event) {
        uint64_t line = line_of(event);
        struct json *node;
        struct view text;
        int r;

        r = check_properties(b, event->data.scalar.anchor, event->data.scalar.tag, line);
        if (r < 0)
                return r;
        r = copy_scalar(b, event, &text);
        if (r < 0)
                return r;
        if (key_is_due(b)) {
                struct level *level = &b->level[b->depth - 1];

                level->key = text;
                level->key_line = line;
                level->has_key = true;
                return 0;
        }
        r = add_node(b, line, &node);
        if (r < 0)
                return r;
        node->type = JSON_STRING;
        node->text = text;
        return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE ? resolve_plain(b, node) : 0;
}

static int on_open(struct builder *b, enum json_type type, const yaml_event_t *event) {
        bool is_list = type == JSON_ARRAY;
        uint64_t line = line_of(event);
        struct json *node;
        int r;

        r = check_properties(b,
                             is_list ? event->data.sequence_start.anchor : event->data.mapping_start.anchor,
                             is_list ? event->data.sequence_start.tag : event->data.mapping_start.tag, line);
        if (r < 0)
                return r;
        if (key_is_due(b))
                return refuse(b, "YAML-011", line, "a name must be plain text, not a list or a mapping");
        if (b->depth >= JSON_DEPTH_MAX)
                return fault_set(b->fault, -E2BIG, "YAML-013", line, "nested deeper than %d levels",
                                 JSON_DEPTH_MAX);
        r = add_node(b, line, &node);
        if (r < 0)
                return r;
        node->type = type;
        b->level[b->depth++] = (struct level){.node = node, .slot = &node->child};
        return 0;
}

static int on_close(struct builder *b) {
        const struct json *node = b->level[--b->depth].node, *second = NULL;
        char name[JSON_NAME_SHOWN];
        int r;

        if (node->type != JSON_OBJECT)
                return 0;
        r = json_find_duplicate(b->doc, node, &second);
        if (r < 0)
                return fault_memory(b, r, node->at);
        if (r == 0)
                return 0;
        json_show_name(second->key, name);
        return fault_set(b->fault, -EBADMSG, "YAML-012", second->at,
                         "the name %s stands twice in one mapping", name);
}

static int on_document(struct builder *b, const yaml_event_t *event) {
        if (event->data.document_start.version_directive ||
            event->data.document_start.tag_directives.start != event->data.document_start.tag_directives.end)
                return refuse(b, "YAML-009", line_of(event), "directives (%YAML, %TAG) are not allowed");
        if (++b->documents > 1)
                return refuse(b, "YAML-010", line_of(event), "only one document in a file");
        return 0;
}

/* 1: more events to come, 0: the stream has ended. */
static int on_event(struct builder *b, const yaml_event_t *event) {
        int r = 0;

        switch (event->type) {
        case YAML_STREAM_END_EVENT:
                return 0;
        case YAML_DOCUMENT_START_EVENT:
                r = on_document(b, event);
                break;
        case YAML_ALIAS_EVENT:
                r = refuse(b, "YAML-007", line_of(event),
                           "anchors and aliases are not allowed; write the value out");
                break;
        case YAML_SCALAR_EVENT:
                r = on_scalar(b, event);
                break;
        case YAML_SEQUENCE_START_EVENT:
                r = on_open(b, JSON_ARRAY, event);
                break;
        case YAML_MAPPING_START_EVENT:
                r = on_open(b, JSON_OBJECT, event);
                break;
        case YAML_SEQUENCE_END_EVENT:
        case YAML_MAPPING_END_EVENT:
                r = on_close(b);
                break;
        case YAML_NO_EVENT:
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_END_EVENT:
                break;
        }
        return r < 0 ? r : 1;
}

static int fault_of_parser(struct builder *b, const yaml_parser_t *parser) {
        if (parser->error == YAML_MEMORY_ERROR)
                return fault_memory(b, -ENOMEM, (uint64_t)parser->mark.line + 1);
        return fault_set(b->fault, -EBADMSG, "YAML-006", (uint64_t)parser->problem_mark.line + 1,
                         "not valid YAML: %s", parser->problem ? parser->problem : "it can't be read");
}

static int read_events(struct builder *b, struct view text) {
        _cleanup_(parser_donep) yaml_parser_t parser = {0};
        int r;

        if (!yaml_parser_initialize(&parser))
                return fault_memory(b, -ENOMEM, 1);
        yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&parser, (const unsigned char *)text.p, text.n);
        do {
                _cleanup_(event_donep) yaml_event_t event = {0};

                if (!yaml_parser_parse(&parser, &event))
                        return fault_of_parser(b, &parser);
                r = on_event(b, &event);
        } while (r > 0);
        return r;
}

/* Characters that end lines for some readers only, or that people can't see. */
static bool is_confusing(uint32_t c) {
        return (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || (c >= 0x7f && c < 0xa0) || c == 0xad ||
               c == 0x61c || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
               (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff0 && c <= 0xfffb) ||
               (c >= 0xe0000 && c <= 0xe0fff);
}

static int check_text(struct view text, struct fault *fault) {
        bool in_indent = true, is_blank = true;
        uint64_t line = 1;

        for (size_t i = 0, n; i < text.n; i += n) {
                uint32_t c = 0;

                n = utf8_decode(view_sub(text, i, SIZE_MAX), &c);
                if (n == 0)
                        return fault_set(fault, -EBADMSG, "YAML-003", line, "the text is not UTF-8");
                if (is_confusing(c) || (c == '\r' && (i + 1 >= text.n || text.p[i + 1] != '\n')))
                        return fault_set(
                                fault, -EBADMSG, "YAML-004", line,
                                "character U+%04X is not allowed here; write it as \\u%04X in double quotes",
                                (unsigned)c, (unsigned)c);
                if (c == '\t' && in_indent)
                        return fault_set(fault, -EBADMSG, "YAML-005", line,
                                         "a tab indents this line; use spaces");
                in_indent = c == '\n' || (in_indent && c == ' ');
                is_blank = is_blank && (c == ' ' || c == '\n' || c == '\r');
                line += c == '\n';
        }
        if (is_blank)
                return fault_set(fault, -EBADMSG, "YAML-001", 1, "the text is empty");
        return 0;
}

int yaml_parse(struct view text, struct json_document **ret, struct fault *reterr) {
        _cleanup_(json_document_freep) struct json_document *doc = NULL;
        struct builder b = {.fault = reterr};
        int r;

        if (text.n > TEXT_MAX)
                return fault_set(reterr, -E2BIG, "YAML-002", 1, "the text is longer than %zu bytes",
                                 TEXT_MAX);
        r = check_text(text, reterr);
        if (r < 0)
                return r;
        r = json_document_new(&doc);
        if (r < 0)
                return fault_memory(&b, r, 1);
        json_document_reset(doc, MEMORY_FACTOR * text.n + MEMORY_EXTRA);
        b.doc = doc;
        r = read_events(&b, text);
        if (r < 0)
                return r;
        if (!doc->root)
                return refuse(&b, "YAML-001", 1, "the text holds no value");
        *ret = TAKE_PTR(doc);
        return 0;
}
