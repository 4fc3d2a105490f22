#include "quarantine/scan_pass.h"

#include "base/clock.h"

void scan_result_distrust(struct scan_result *result, const struct worker_link *l, uint32_t member) {
        struct finding f = {.stage = 2, .severity = FINDING_REJECT, .at = UINT64_MAX, .member = member};

        memset(&result->findings, 0, sizeof result->findings);
        result->summary = (struct model_summary){.size = result->bytes};
        (void)snprintf(f.rule, sizeof f.rule, "%s", worker_trouble_rule(l->trouble));
        (void)snprintf(f.message, sizeof f.message, "%s", worker_trouble_text(l->trouble));
        (void)snprintf(result->trouble_text, sizeof result->trouble_text, "%s",
                       l->text[0] ? l->text : f.message);
        collector_put(&result->findings, &f);
}

static int run(struct scan_lane *lane, const struct scan_engine *e, int fd, uint64_t size, struct view name,
               const struct scan_watch *watch, struct scan_result *result) {
        struct worker_link_config config = {.size = size,
                                            .name = name,
                                            .hearer = watch ? watch->tensors : NULL,
                                            .early = watch ? watch->early : NULL};
        int r = scan_lane_start(lane, e, &config);

        return r < 0 ? r : scan_lane_file(lane, fd, size, worker_link_send_end, &result->sha256);
}

int scan_pass(const struct scan_engine *e, int fd, uint64_t size, struct view name,
              const struct scan_watch *watch, struct scan_result *ret) {
        struct scan_lane lane = {.progress = watch ? watch->progress : NULL,
                                 .userdata = watch ? watch->userdata : NULL};
        uint64_t start = clock_monotonic_usec();
        int r;

        if (size > ARTIFACT_BYTES_MAX)
                return -EFBIG;
        memset(ret, 0, sizeof *ret);
        r = run(&lane, e, fd, size, name, watch, ret);
        if (r >= 0) {
                ret->bytes = size;
                ret->trouble = lane.link.trouble;
                ret->findings = lane.link.findings;
                ret->summary = lane.link.summary;
                ret->windows = lane.link.windows;
                if (ret->trouble != WORKER_FINE)
                        scan_result_distrust(ret, &lane.link, 0);
                ret->usec = clock_monotonic_usec() - start;
        }
        scan_lane_done(&lane);
        if (r >= 0)
                scan_engine_make_spare(e);
        return r;
}
