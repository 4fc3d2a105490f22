/* supervisor: starts the services in order, keeps them running, stops them in reverse order. One thread. */
#pragma once

#include "securectl/places.h"
#include "securectl/recorder.h"
#include "securectl/report.h"
#include "securectl/unit.h"

#define SUPERVISOR_UNITS_MAX 8

struct supervisor {
        struct places places;
        struct report report;
        struct recorder recorder;
        struct unit units[SUPERVISOR_UNITS_MAX]; /* in the order of their start */
        size_t n_units;
        char notify_path[PLACE_MAX];
        int notify_fd, signal_fd;
        bool starting; /* whoever ends now ends the start */
        unsigned stop_requests;
        struct unit *failed; /* the one that ended the start */
};

/* Blocks the signals that it waits for and opens the socket for READY=1. */
SAI_NODISCARD int supervisor_prepare(struct supervisor *s);
/* Starts all, each after the one before it is ready. 0, -ECANCELED when a signal came, or negative with s->failed. */
SAI_NODISCARD int supervisor_start(struct supervisor *s);
/* Restarts what ends until a signal asks to stop. */
void supervisor_watch(struct supervisor *s);
/* Stops all in reverse order; a second signal cuts the grace short. */
void supervisor_stop(struct supervisor *s);
void supervisor_done(struct supervisor *s);
struct unit *supervisor_unit(struct supervisor *s, const char *name);
