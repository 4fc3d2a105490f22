#include "model/refused.h"

#include "model/executable.h"
#include "model/keras.h"
#include "model/npy.h"
#include "model/onnx.h"
#include "model/pickle_machine.h"
#include "model/tensorflow.h"
#include "model/tflite.h"
#include "model/zip_walk.h"

struct refused {
        enum model_kind kind;
        struct pickle_machine *pickle; /* one or none of the readers … */
        struct zip_walk *zip;
        struct npy *npy;
        struct onnx *onnx;
        struct tensorflow *tensorflow;
        struct tflite *tflite;
        struct executable *executable;
        struct keras *keras;
        const struct model_unpacker *unpacker; /* … and what unpacks */
        void *unpacking;
};

static int start_reader(struct refused *f, const struct refused_context *c, uint64_t size) {
        switch (f->kind) {
        case MODEL_KIND_PICKLE:
        case MODEL_KIND_PYTORCH_LEGACY:
                return pickle_machine_new(c->report, 0, size, &f->pickle);
        case MODEL_KIND_ZIP:
        case MODEL_KIND_PYTORCH_ZIP:
        case MODEL_KIND_KERAS_ZIP:
                return zip_walk_new(c->report, size, c->unpacker != NULL, &f->zip);
        case MODEL_KIND_NUMPY:
                return npy_new(c->report, 0, size, &f->npy);
        case MODEL_KIND_ONNX:
                return onnx_new(c->report, size, &f->onnx);
        case MODEL_KIND_SAVED_MODEL:
        case MODEL_KIND_GRAPH_DEF:
                return tensorflow_new(c->report, size, f->kind == MODEL_KIND_GRAPH_DEF, &f->tensorflow);
        case MODEL_KIND_TFLITE:
                return tflite_new(c->report, &f->tflite);
        case MODEL_KIND_HDF5:
        case MODEL_KIND_JSON: /* perhaps the description of a Keras model */
                return keras_new(c->report, 0, &f->keras);
        case MODEL_KIND_ELF:
        case MODEL_KIND_PE:
        case MODEL_KIND_MACHO:
        case MODEL_KIND_LLAMAFILE:
                return executable_new(c->report, &f->executable);
        default:
                return 0;
        }
}

static int start_unpacking(struct refused *f, const struct refused_context *c) {
        struct unpack_job job = {c->report->sink, f->kind, c->depth, c->report->member, c->shared};

        if (!c->unpacker || !unpack_is_possible(f->kind))
                return 0;
        f->unpacker = c->unpacker;
        return c->unpacker->open(c->unpacker, &job, &f->unpacking);
}

int refused_new(const struct refused_context *c, enum model_kind kind, uint64_t size, struct refused **ret) {
        struct refused *f = calloc(1, sizeof *f);
        int r;

        if (!f)
                return -ENOMEM;
        f->kind = kind;
        r = start_reader(f, c, size);
        if (r >= 0)
                r = start_unpacking(f, c);
        if (r < 0) {
                refused_free(f);
                return r;
        }
        *ret = f;
        return 0;
}

struct refused *refused_free(struct refused *f) {
        if (f) {
                pickle_machine_free(f->pickle);
                zip_walk_free(f->zip);
                npy_free(f->npy);
                onnx_free(f->onnx);
                tensorflow_free(f->tensorflow);
                tflite_free(f->tflite);
                executable_free(f->executable);
                keras_free(f->keras);
                if (f->unpacking)
                        f->unpacker->close(f->unpacking);
                free(f);
        }
        return NULL;
}

static int feed_reader(struct refused *f, struct view bytes) {
        if (f->pickle)
                return pickle_machine_feed(f->pickle, bytes);
        if (f->zip)
                return zip_walk_feed(f->zip, bytes);
        if (f->npy)
                return npy_feed(f->npy, bytes);
        if (f->tflite)
                return tflite_feed(f->tflite, bytes);
        if (f->onnx)
                onnx_feed(f->onnx, bytes);
        if (f->tensorflow)
                tensorflow_feed(f->tensorflow, bytes);
        if (f->executable)
                executable_feed(f->executable, bytes);
        if (f->keras)
                keras_feed(f->keras, bytes);
        return 0;
}

int refused_feed(struct refused *f, struct view bytes) {
        int r = feed_reader(f, bytes);

        return r >= 0 && f->unpacking ? f->unpacker->feed(f->unpacking, bytes) : r;
}

int refused_finish(struct refused *f) {
        if (f->pickle)
                pickle_machine_finish(f->pickle);
        if (f->zip)
                zip_walk_finish(f->zip);
        if (f->npy)
                npy_finish(f->npy);
        if (f->onnx)
                onnx_finish(f->onnx);
        if (f->tensorflow)
                tensorflow_finish(f->tensorflow);
        if (f->tflite)
                tflite_finish(f->tflite);
        if (f->executable)
                executable_finish(f->executable);
        if (f->keras)
                keras_finish(f->keras);
        return f->unpacking ? f->unpacker->finish(f->unpacking) : 0;
}
