#include "securectl/folder_send.h"

#include "core/fd_channel.h"
#include "core/set_walk.h"
#include "securectl/command.h"
#include "securectl/options.h"
#include "securectl/link.h"
#include "securectl/show.h"

struct sending {
        int sock;
        struct json_document *answer; /* the last */
};

static void sending_done(struct sending *s) {
        close_fd(s->sock);
        json_document_free(s->answer);
}

static int exchange(struct sending *s, struct view request, int fd) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(OUTPUT_LINE_MAX);
        int came = -EBADF, r = fd_channel_send(s->sock, request, fd, CALL_TIMEOUT_USEC);
        bool ok = false;

        s->answer = json_document_free(s->answer);
        if (r >= 0)
                r = fd_channel_receive(s->sock, ANSWER_TIMEOUT_USEC, &s->answer, &came);
        close_fd(came);
        if (r < 0)
                return complain("the exchange with quarantine failed: %s", strerrordesc_np(-r)), r;
        if (json_get_bool(json_root(s->answer), "ok", &ok) == 0 && ok)
                return 0;
        if (show_member(&text, json_root(s->answer), "message", "it gave no reason") < 0)
                buf_clear(&text);
        complain("the quarantine did not take the folder: %s", buf_str(&text));
        return -EREMOTEIO;
}

static int begin(struct sending *s, const struct set_walk *w, struct view name, struct view signature) {
        _cleanup_(buf_donep) struct buf request = BUF_INIT(FD_MESSAGE_MAX);
        struct json_writer j = JSON_WRITER(&request);
        int r;

        json_object_begin(&j);
        json_member_string(&j, "op", "upload_set");
        json_member_view(&j, "name", name);
        json_member_u64(&j, "files", w->n);
        json_member_u64(&j, "size", w->size);
        json_member_string(&j, "source", "local");
        if (signature.n)
                json_member_view(&j, "signature", signature);
        json_object_end(&j);
        r = json_write_end(&j);
        if (r == -EFBIG)
                return complain("the signature is too long for a message; put the folder into the inbox"), r;
        if (r < 0)
                return complain("the request can't be written: %s", strerrordesc_np(-r)), r;
        return exchange(s, buf_view(&request), -EBADF);
}

static int send_file(struct sending *s, int dir_fd, const struct set_file *f) {
        _cleanup_(buf_donep) struct buf request = BUF_INIT(FD_MESSAGE_MAX);
        _cleanup_(closep) int fd = set_walk_open(dir_fd, f);
        struct json_writer j = JSON_WRITER(&request);
        int r;

        if (fd < 0) {
                _cleanup_(buf_donep) struct buf shown = BUF_INIT(OUTPUT_LINE_MAX);

                if (buf_append_escaped(&shown, view_of(f->path), 200) < 0)
                        buf_clear(&shown);
                return complain("%s: %s", buf_str(&shown),
                                fd == -ESTALE ? "changed meanwhile" : strerrordesc_np(-fd)),
                       fd;
        }
        json_object_begin(&j);
        json_member_string(&j, "op", "file");
        json_member_string(&j, "path", f->path);
        json_member_u64(&j, "size", f->size);
        json_object_end(&j);
        r = json_write_end(&j);
        return r < 0 ? r : exchange(s, buf_view(&request), fd);
}

static int commit(struct sending *s, const struct buf *id) {
        _cleanup_(buf_donep) struct buf request = BUF_INIT(FD_MESSAGE_MAX);
        struct json_writer j = JSON_WRITER(&request);
        int r;

        json_object_begin(&j);
        json_member_string(&j, "op", "commit");
        json_member_view(&j, "job", buf_view(id));
        json_object_end(&j);
        r = json_write_end(&j);
        return r < 0 ? r : exchange(s, buf_view(&request), -EBADF);
}

static int send_all(struct sending *s, int dir_fd, const struct set_walk *w, struct view name,
                    struct view signature, struct buf *ret_id) {
        int r = begin(s, w, name, signature);

        if (r >= 0)
                r = buf_append_view(ret_id, json_get_view(json_root(s->answer), "job", VIEW_NULL));
        if (r >= 0 && ret_id->n == 0)
                return complain("the quarantine's answer names no job"), -EPROTO;
        for (size_t i = 0; i < w->n && r >= 0; i++)
                r = send_file(s, dir_fd, &w->files[i]);
        return r < 0 ? r : commit(s, ret_id);
}

int folder_send(const struct layout *l, int dir_fd, struct view name, struct view signature,
                struct buf *ret_id) {
        _cleanup_(set_walk_donep) struct set_walk w = {0};
        struct sending s = {.sock = -EBADF};
        struct fault why = FAULT_NONE;
        int r = set_walk(dir_fd, &w, &why);

        if (r < 0)
                return complain("this folder can't be a model: %s", why.text), r;
        s.sock = link_open_channel(l, "quarantine");
        r = s.sock < 0 ? s.sock : send_all(&s, dir_fd, &w, name, signature, ret_id);
        sending_done(&s);
        return r;
}
