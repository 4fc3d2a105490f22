/* securectl import: hands the quarantine an open file, or the files of a folder, and follows it through the stages. */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"
#include "core/fd_channel.h"
#include "securectl/command.h"
#include "securectl/folder_send.h"
#include "securectl/follow.h"
#include "securectl/options.h"
#include "securectl/show.h"
#include "securectl/terminal.h"

static const struct command_help help = {
        .usage = "import [OPTION…] FILE|DIR…",
        .text = "Brings models in: the quarantine takes a snapshot of each, examines it in seven stages, and "
                "what passes\n"
                "can be used. FILE itself is only read and stays where it is. A folder is one model; a "
                "signature\n"
                "over it (DIR/model.sig) goes along.\n"
                "Exit status: 0 all passed, 1 one was rejected or set aside, 2 trouble.",
        .least = 1,
        .most = 1000,
};

/* A detached signature: base64 as cosign writes it, or the bytes themselves. */
static int read_signature(const char *path, struct buf *ret_base64) {
        _cleanup_(buf_donep) struct buf raw = BUF_INIT(0), text = BUF_INIT(2 * SIGNATURE_FILE_MAX),
                                        decoded = BUF_INIT(SIGNATURE_FILE_MAX);
        int r = read_file(path, SIGNATURE_FILE_MAX, &raw);

        for (size_t i = 0; r >= 0 && i < raw.n; i++)
                if (!strchr(" \t\r\n", raw.p[i]) || raw.p[i] == '\0')
                        r = buf_append_char(&text, raw.p[i]);
        if (r < 0)
                return r;
        if (text.n == 0)
                return -ENODATA;
        if (base64_decode(buf_view(&text), &decoded) < 0) {
                buf_clear(&text);
                r = base64_encode(buf_view(&raw), &text);
        }
        if (r >= 0)
                *ret_base64 = TAKE_BUF(text);
        return r;
}

/* The last part of a path; "." and ".." are no names. */
static int name_of(const char *path, struct buf *ret) {
        _cleanup_(freep) char *whole = NULL;
        struct view v = view_of(path), head;

        while (v.n > 1 && v.p[v.n - 1] == '/')
                v.n--;
        while (view_split(&v, '/', &head))
                ;
        if (v.n > 0 && !view_eq_str(v, ".") && !view_eq_str(v, ".."))
                return buf_append_view(ret, v);
        whole = realpath(path, NULL);
        return whole ? buf_append_str(ret, strrchr(whole, '/') + 1) : -errno;
}

static int write_request(struct view name, const struct buf *signature, struct buf *out) {
        struct json_writer w = JSON_WRITER(out);

        json_object_begin(&w);
        json_member_string(&w, "op", "import");
        json_member_view(&w, "name", name);
        json_member_string(&w, "source", "local");
        if (signature->n)
                json_member_view(&w, "signature", buf_view(signature));
        json_object_end(&w);
        return json_write_end(&w);
}

static int explain_refusal(const struct json *answer) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(OUTPUT_LINE_MAX);

        if (show_member(&text, answer, "message", "it gave no reason") < 0)
                buf_clear(&text);
        complain("the quarantine did not take the file: %s", buf_str(&text));
        return -EREMOTEIO;
}

/* Sends the request with the descriptor: 0 and *ret_id. */
static int hand_over(const struct layout *l, int fd, struct view request, struct buf *ret_id) {
        _cleanup_(closep) int sock = link_open_channel(l, "quarantine"), came = -EBADF;
        _cleanup_(json_document_freep) struct json_document *doc = NULL;
        bool ok = false;
        int r;

        if (sock < 0)
                return sock;
        r = fd_channel_send(sock, request, fd, CALL_TIMEOUT_USEC);
        if (r >= 0)
                r = fd_channel_receive(sock, ANSWER_TIMEOUT_USEC, &doc,
                                       &came); /* a large snapshot takes its time */
        if (r < 0) {
                complain("the exchange with quarantine failed: %s", strerrordesc_np(-r));
                return r;
        }
        if (json_get_bool(json_root(doc), "ok", &ok) < 0 || !ok)
                return explain_refusal(json_root(doc));
        r = buf_append_view(ret_id, json_get_view(json_root(doc), "job", VIEW_NULL));
        if (r < 0 || ret_id->n == 0)
                return complain("the quarantine's answer names no job"), -EPROTO;
        return 0;
}

static int open_model(const char *path, bool *ret_is_folder) {
        _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0) {
                complain("%s: %s", path, strerrordesc_np(errno));
                return -EIO;
        }
        if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
                complain("%s is neither a file nor a folder", path);
                return -EINVAL;
        }
        *ret_is_folder = S_ISDIR(st.st_mode);
        return TAKE_FD(fd);
}

/* A folder's own signature is a bundle that names its files; it can be long. */
static int read_own_signature(int dir_fd, struct buf *ret_base64) {
        _cleanup_(buf_donep) struct buf raw = BUF_INIT(0), text = BUF_INIT(FD_MESSAGE_MAX);
        int r = read_file_beneath(dir_fd, "model.sig", FD_MESSAGE_MAX / 4 * 3, &raw);

        if (r == -ENOENT)
                return 0;
        if (r >= 0)
                r = base64_encode(buf_view(&raw), &text);
        if (r < 0)
                return complain("model.sig in the folder can't be sent (%s); put the folder into the inbox",
                                strerrordesc_np(-r)),
                       r;
        *ret_base64 = TAKE_BUF(text);
        return 0;
}

static int start_import(const struct layout *l, const char *path, const char *signature_path,
                        struct buf *ret_id) {
        _cleanup_(buf_donep) struct buf signature = BUF_INIT(0), request = BUF_INIT(FD_MESSAGE_MAX),
                                        name = BUF_INIT(4096);
        bool is_folder = false;
        _cleanup_(closep) int fd = open_model(path, &is_folder);
        int r;

        if (fd < 0)
                return fd;
        r = signature_path ? read_signature(signature_path, &signature) : 0;
        if (r < 0)
                return complain("%s: %s", signature_path, strerrordesc_np(-r)), r;
        if (is_folder && !signature_path)
                r = read_own_signature(fd, &signature);
        if (r < 0)
                return r;
        r = name_of(path, &name);
        if (r >= 0 && is_folder)
                return folder_send(l, fd, buf_view(&name), buf_view(&signature), ret_id);
        if (r >= 0)
                r = write_request(buf_view(&name), &signature, &request);
        if (r < 0)
                return complain("the request can't be written: %s", strerrordesc_np(-r)), r;
        return hand_over(l, fd, buf_view(&request), ret_id);
}

static int import_one(const struct common *common, const struct link *quarantine, const char *path,
                      const char *signature_path, bool detach) {
        _cleanup_(json_document_freep) struct json_document *doc = NULL;
        _cleanup_(buf_donep) struct buf id = BUF_INIT(SHOWN_TEXT_MAX), line = BUF_INIT(OUTPUT_LINE_MAX);

        if (start_import(&common->layout, path, signature_path, &id) < 0)
                return EXIT_TROUBLE;
        if (detach) {
                if (show_text(&line, buf_view(&id)) >= 0)
                        (void)printf(common->json ? "{\"job\":\"%s\"}\n" : "%s\n", buf_str(&line));
                return EXIT_YES;
        }
        if (follow_job(quarantine, buf_view(&id), common->json, &doc) < 0)
                return EXIT_TROUBLE;
        if (!common->json)
                return follow_print_end(json_root(doc), FINDINGS_SHOWN);
        if (terminal_print_json(json_root(doc)) < 0)
                return EXIT_TROUBLE;
        return view_eq(json_get_view(json_root(doc), "state", VIEW_NULL), VIEW("promoted")) ? EXIT_YES
                                                                                            : EXIT_NO;
}

int command_import(int argc, char *argv[]) {
        struct common common = {0};
        bool detach = false;
        const char *signature = NULL;
        const struct option_spec specs[] = {
                {"detach", 'd', &detach, NULL, NULL, "print the job's id and do not wait for its end"},
                {"signature", 's', NULL, &signature, "FILE", "detached signature of the one FILE or DIR"},
                COMMON_OPTIONS(&common),
        };
        _cleanup_(link_freep) struct link *quarantine = NULL;
        int operands, code, worst = EXIT_YES;

        if (command_begin(&help, specs, &common, argc, argv, &operands, &code) < 0)
                return code;
        if (signature && operands != 1)
                return complain("--signature belongs to one FILE");
        if (link_new(&common.layout, "quarantine", &quarantine) < 0)
                return EXIT_TROUBLE;
        for (int i = 1; i <= operands; i++) {
                code = import_one(&common, quarantine, argv[i], signature, detach);
                worst = MAX_OF(worst, code);
        }
        return worst;
}
