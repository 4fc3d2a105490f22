/* command: the commands of securectl. Each has a file of its own and is listed in main.c. */
#pragma once

#include "base/macros.h"

/* Exit codes of all commands. */
enum { EXIT_YES = 0, EXIT_NO = 1, EXIT_TROUBLE = 2 };

struct command {
        const char *name;
        const char *summary;                /* one line for `securectl --help` */
        int (*run)(int argc, char *argv[]); /* argv[0] is the command's name; returns the exit code */
};

int command_up(int argc, char *argv[]);
int command_down(int argc, char *argv[]);
int command_status(int argc, char *argv[]);
int command_scan(int argc, char *argv[]);
int command_compare(int argc, char *argv[]);
int command_explain(int argc, char *argv[]);
int command_import(int argc, char *argv[]);
int command_models(int argc, char *argv[]);
int command_jobs(int argc, char *argv[]);
int command_chat(int argc, char *argv[]);
int command_audit(int argc, char *argv[]);
int command_verify(int argc, char *argv[]);
int command_sign(int argc, char *argv[]);
int command_keys(int argc, char *argv[]);
