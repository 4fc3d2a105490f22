/* evidence: the signed statement with which quarantine asks the registry to take a model. Pure but for the signature. */
#pragma once

#include "core/keys.h"
#include "quarantine/job_documents.h"
#include "quarantine/jobs.h"

#define EVIDENCE_CONTEXT  "secai.evidence/1\n"
#define EVIDENCE_KEY_NAME "evidence.key"
#define EVIDENCE_PUB_NAME "evidence.pub"

/* Fills the job's evidence and evidence_signature from a passing verdict and what documents come with it. */
SAI_NODISCARD int evidence_make(const struct signing_key *key, const struct verdict *v,
                                const struct job_documents *d, struct job *j);
/* Makes the key pair in the state folder when it is missing, and writes the public half. */
SAI_NODISCARD int evidence_key_load(int state_dir, struct signing_key **ret);
