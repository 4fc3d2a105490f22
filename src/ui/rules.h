/* rules: what each rule that a finding can quote means and what to do about it, for the page. */
#pragma once

#include "ui/app.h"

/* GET /api/rules: the whole catalogue (model/catalogue.h). */
SAI_NODISCARD int rules_on_list(struct http_request *q, void *userdata);
