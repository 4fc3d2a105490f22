/* services: the browser's routes that registry, quarantine and inference answer. All need a session; acts are recorded
 * before they are asked for. */
#pragma once

#include "ui/app.h"

int services_on_models(struct http_request *q, void *app);
int services_on_model(struct http_request *q, void *app);
int services_on_model_document(struct http_request *q, void *app);
int services_on_model_verify(struct http_request *q, void *app);
int services_on_model_delete(struct http_request *q, void *app);
int services_on_jobs(struct http_request *q, void *app);
int services_on_job(struct http_request *q, void *app);
int services_on_job_document(struct http_request *q, void *app);
int services_on_job_events(struct http_request *q, void *app);
int services_on_job_delete(struct http_request *q, void *app);
int services_on_job_retry(struct http_request *q, void *app);
int services_on_chat(struct http_request *q, void *app);
int services_on_inference(struct http_request *q, void *app);
int services_on_load(struct http_request *q, void *app);
int services_on_unload(struct http_request *q, void *app);
