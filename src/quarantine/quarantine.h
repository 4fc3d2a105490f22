/* quarantine: what the threads of the service share. Made by main, immutable but for what the members themselves guard. */
#pragma once

#include "core/service.h"
#include "quarantine/claim.h"
#include "quarantine/jobs.h"
#include "quarantine/live.h"
#include "quarantine/setup.h"

struct quarantine {
        struct service *service;
        struct setup setup;
        struct jobs *jobs;
        struct claims claims;
        struct live *live;
        struct signing_key *key;
        char *incoming_path;   /* for people */
        char *registry_socket; /* its descriptor channel */
};

/* Writes one audit record about a job and returns once it is on disk. The act that it belongs to must not happen without it. */
SAI_NODISCARD int quarantine_audit(const struct quarantine *q, const char *event, const char *decision,
                                   const char *rule, const struct job *j);
