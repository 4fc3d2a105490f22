#include "model/template_rules.h"

static bool is_in(struct view name, const char *const *list, size_t n) {
        for (size_t i = 0; name.n > 0 && i < n; i++)
                if (list[i][0] == name.p[0] &&
                    view_eq_str(name, list[i])) /* the first letter tells most apart */
                        return true;
        return false;
}

bool template_function_is_allowed(struct view name) {
        static const char *const list[] = {"raise_exception", "strftime_now", "namespace", "range", "dict"};

        return is_in(name, list, ARRAY_SIZE(list));
}

bool template_global_is_forbidden(struct view name) {
        static const char *const list[] = {
                "lipsum",      "cycler", "joiner",  "self",      "super",   "caller",  "varargs",
                "kwargs",      "config", "request", "session",   "g",       "url_for", "get_flashed_messages",
                "environment", "eval",   "exec",    "open",      "globals", "locals",  "getattr",
                "setattr",     "os",     "sys",     "subprocess"};

        return is_in(name, list, ARRAY_SIZE(list));
}

bool template_test_is_allowed(struct view name) {
        static const char *const list[] = {
                "defined",     "undefined", "none",  "None",    "string",      "number",   "integer", "float",
                "boolean",     "true",      "false", "mapping", "iterable",    "sequence", "equalto", "eq",
                "ne",          "lt",        "le",    "gt",      "ge",          "in",       "odd",     "even",
                "divisibleby", "lower",     "upper", "sameas",  "greaterthan", "lessthan"};

        return is_in(name, list, ARRAY_SIZE(list));
}

bool template_field_is_number(struct view name) {
        static const char *const list[] = {"index", "index0", "revindex", "revindex0", "length",
                                           "depth", "depth0", "first",    "last",      "changed"};

        return is_in(name, list, ARRAY_SIZE(list));
}

bool template_field_is_content(struct view name) {
        static const char *const list[] = {"content",  "text",      "arguments", "reasoning_content",
                                           "thinking", "reasoning", "output",    "result",
                                           "value",    "input",     "contents",  "thought"};

        return is_in(name, list, ARRAY_SIZE(list));
}

bool template_field_is_allowed(struct view name) {
        static const char *const list[] = {
                /* loop */
                "previtem", "nextitem",
                /* messages */
                "role", "content", "contents", "name", "type", "text", "thinking", "thought", "thoughts",
                "think", "reasoning", "reasoning_content", "reasoning_text", "prefix", "suffix", "tool_calls",
                "tool_call", "tool_call_id", "tool_calls_id", "tool_call_ids", "tool_responses",
                "tool_response", "tool_results", "tool_result", "tool_plan", "tool_name", "tool_input",
                "tool_output", "function", "function_call", "function_calls", "functions", "arguments", "id",
                "call_id", "recipient", "sender", "channel", "content_type", "image", "images", "image_url",
                "image_id", "url", "video", "videos", "video_url", "audio", "audios", "audio_url",
                "input_audio", "file", "data", "weight", "mask", "train", "user", "assistant", "system",
                "developer", "tool", "ipython", "observation", "metadata", "end_turn", "turn", "author",
                "language", "lang", "source_lang_code", "target_lang_code", "eos", "bos", "human", "model",
                "bot", "step", "steps", "start", "end", "message", "messages", "msg",
                /* tools and their schemas */
                "tools", "description", "desc", "parameters", "parameter", "properties", "required", "items",
                "enum", "default", "title", "anyOf", "allOf", "oneOf", "additionalProperties", "const",
                "nullable", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minItems",
                "maxItems", "uniqueItems", "minLength", "maxLength", "pattern", "examples", "example",
                "return", "returns", "return_type", "response", "responses", "strict", "schema",
                "json_schema", "input_schema", "output_schema", "signature", "$ref", "$defs", "definitions",
                "deprecated", "response_format", "parameters_schema", "args", "kwargs", "params", "param",
                "name_for_human", "name_for_model", "description_for_model", "parameter_definitions",
                "optional",
                /* documents and what comes back */
                "documents", "document", "doc_id", "doc", "docs", "context", "citations", "citation",
                "snippet", "score", "title_text", "results", "result", "output", "outputs", "input", "inputs",
                "error", "status", "code", "value", "values", "key", "keys", "date", "plan", "action",
                "actions", "action_input", "answer", "question", "query", "queries", "options", "choices",
                "controls", "length_control",
                /* templates' own variables */
                "found", "flag", "count", "total", "current", "previous", "next", "state", "kind", "version",
                "settings", "capabilities", "builtin", "builtin_tools", "browser", "python", "custom",
                "custom_tools", "system_prompt", "system_message", "is_first", "is_last", "last_query_index",
                "multi_step_tool", "enable_thinking"};

        return template_field_is_number(name) || is_in(name, list, ARRAY_SIZE(list));
}

/* Python's insides that are reached without an underscore in front. */
bool template_field_is_forbidden(struct view name) {
        static const char *const list[] = {"mro",      "format",  "format_map", "attr",      "import",
                                           "eval",     "exec",    "system",     "popen",     "modules",
                                           "builtins", "globals", "environ",    "subclasses"};
        static const char *const prefixes[] = {"gi_", "f_", "cr_", "ag_", "tb_", "func_", "im_", "co_"};

        for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
                if (view_starts(name, view_of(prefixes[i])))
                        return true;
        return is_in(name, list, ARRAY_SIZE(list));
}

bool template_statement_is_known(struct view name) {
        static const char *const list[] = {"import",     "from",   "include", "extends", "block",
                                           "call",       "filter", "with",    "do",      "raw",
                                           "autoescape", "trans",  "debug"};

        return is_in(name, list, ARRAY_SIZE(list));
}

static const struct template_filter *find(struct view name, const struct template_filter *list, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (view_eq_str(name, list[i].name))
                        return &list[i];
        return NULL;
}

const struct template_filter *template_filter_find(struct view name) {
        static const struct template_filter list[] = {
                {"trim", RESULT_SAME, 1},        {"tojson", RESULT_BUILT, 2},
                {"length", RESULT_NUMBER, 0},    {"count", RESULT_NUMBER, 0},
                {"join", RESULT_BUILT, 1},       {"upper", RESULT_SAME, 0},
                {"lower", RESULT_SAME, 0},       {"capitalize", RESULT_SAME, 0},
                {"title", RESULT_SAME, 0},       {"string", RESULT_SAME, 0},
                {"int", RESULT_NUMBER, 2},       {"float", RESULT_NUMBER, 1},
                {"list", RESULT_SAME, 0},        {"first", RESULT_SAME, 0},
                {"last", RESULT_SAME, 0},        {"default", RESULT_SAME, 2},
                {"d", RESULT_SAME, 2},           {"safe", RESULT_SAME, 0},
                {"replace", RESULT_BUILT, 3},    {"items", RESULT_OTHER, 0},
                {"dictsort", RESULT_OTHER, 2},   {"map", RESULT_OTHER, 1},
                {"select", RESULT_OTHER, 2},     {"reject", RESULT_OTHER, 2},
                {"selectattr", RESULT_OTHER, 3}, {"rejectattr", RESULT_OTHER, 3},
                {"indent", RESULT_BUILT, 3},     {"unique", RESULT_SAME, 1},
                {"reverse", RESULT_BUILT, 0},    {"sort", RESULT_SAME, 2},
                {"min", RESULT_SAME, 1},         {"max", RESULT_SAME, 1},
                {"round", RESULT_NUMBER, 2},     {"abs", RESULT_NUMBER, 0},
                {"e", RESULT_BUILT, 0},          {"escape", RESULT_BUILT, 0},
        };

        return find(name, list, ARRAY_SIZE(list));
}

const struct template_filter *template_method_find(struct view name) {
        static const struct template_filter list[] = {
                {"strip", RESULT_SAME, 1},         {"lstrip", RESULT_SAME, 1},
                {"rstrip", RESULT_SAME, 1},        {"split", RESULT_SAME, 2},
                {"rsplit", RESULT_SAME, 2},        {"splitlines", RESULT_SAME, 1},
                {"startswith", RESULT_NUMBER, 3},  {"endswith", RESULT_NUMBER, 3},
                {"upper", RESULT_SAME, 0},         {"lower", RESULT_SAME, 0},
                {"title", RESULT_SAME, 0},         {"capitalize", RESULT_SAME, 0},
                {"replace", RESULT_BUILT, 3},      {"find", RESULT_NUMBER, 3},
                {"rfind", RESULT_NUMBER, 3},       {"index", RESULT_NUMBER, 3},
                {"count", RESULT_NUMBER, 3},       {"join", RESULT_BUILT, 1},
                {"items", RESULT_SAME, 0},         {"keys", RESULT_SAME, 0},
                {"values", RESULT_SAME, 0},        {"get", RESULT_SAME, 2},
                {"append", RESULT_OTHER, 1},       {"pop", RESULT_SAME, 2},
                {"isdigit", RESULT_NUMBER, 0},     {"isspace", RESULT_NUMBER, 0},
                {"cycle", RESULT_OTHER, 8},        {"removeprefix", RESULT_BUILT, 1},
                {"removesuffix", RESULT_BUILT, 1},
        };

        return find(name, list, ARRAY_SIZE(list));
}
