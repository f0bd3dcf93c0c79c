/* SPDX-License-Identifier: MIT */
/* cli.h - what all commands share: exit codes, errors, options, lines for people.
 * A command is `int command_<name>(int argc, char **argv)` with argv[0] its own name; commands.def
 * lists them.  Errors go to stderr as `Code: message`; the exit code follows from the error. */
#pragma once
#include <stdio.h>
#include "base/err.h"
#include "base/json.h"
#include "cli/client.h"

/* DESIGN promise 5. */
enum cli_exit {
    EXIT_LIVE = 0,
    EXIT_ERROR = 1,
    EXIT_USAGE = 2,
    EXIT_ROLLED_BACK = 3,
    EXIT_SUPERSEDED = 4,
    EXIT_INFRASTRUCTURE = 5,
};

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *usage, *summary, *help; /* help: options and examples, ready to print */
};
const struct command *command_find(const char *name);
const char *command_near(const char *name); /* one that is spelled much like it, or NULL */

/* Prints `Code: message`, and what to try next where that is known; gives the exit code: 2 for
 * usage, 5 where naru, Docker or the network failed, else 1. */
int cli_fail(const struct err *err);
int cli_exit_code(const struct err *err);

/* ---- options: `--name value`, `--name=value`, `--flag`, `-f`; what is left is positional ---- */
/* OPTION_PAIR: NAME=VALUE, as often as wanted, into an object. */
enum option_kind { OPTION_TEXT, OPTION_FLAG, OPTION_NUMBER, OPTION_PAIR };
struct option_row {
    const char *name; /* without dashes */
    char letter;      /* 0: none */
    enum option_kind kind;
    void *target; /* const char **, bool *, int64_t *, struct json ** */
};
/* Ends with a row without a name. `--help` is understood for all: sets *wants_help. Positional
 * arguments are moved to the front of argv[1..]; their count is the result, -1 with err on a
 * mistake. */
int options_parse(int argc, char **argv, const struct option_row *rows, bool *wants_help,
                  struct err *err);
/* The usual beginning of a command: parses, prints help (result -2) or the mistake (-1; *status).
 */
int command_begin(int argc, char **argv, const struct option_row *rows, int positional_max,
                  int *status);

/* `--repositories`: patterns of names, joined by commas; NULL is fine. */
bool cli_repositories_check(const char *patterns, struct err *err) MUST_CHECK;

/* Is there an access key?  If not, says why: nothing is set up there, or it is another's. */
bool cli_has_keys(const struct client_config *config, const char *data_dir,
                  struct err *err) MUST_CHECK;
/* A client for the data directory; NULL after having printed why (*status). */
struct client *cli_connect(const char *data_dir, int *status);

/* ---- output ---- */
bool cli_wants_json(const char *output, struct err *err, bool *out); /* "table", "json" or NULL */
void cli_print_json(const struct json *value); /* four spaces, as the AWS CLI */
enum cli_colour { COLOUR_NONE, COLOUR_GOOD, COLOUR_BAD, COLOUR_DIM, COLOUR_BOLD };
/* An escape sequence where `out` is a terminal and NO_COLOR is not set, else "". */
const char *cli_colour_on(FILE *out, enum cli_colour colour);
const char *cli_colour(enum cli_colour colour); /* on stdout */

struct table;
/* Columns wide enough for their cells; `titles` ends with NULL. */
struct table *table_new(const char *const *titles);
void table_add(struct table *t, ...); /* as many `const char *` as titles; NULL is "-" */
void table_print(const struct table *t, FILE *out);
void table_free(struct table *t);
/* Prints a table with what add() makes of each item of the array. */
void table_print_list(const char *const *titles, const struct json *list,
                      void (*add)(struct table *t, const struct json *item));

/* One aligned line per state change: "   1.234s  service   2 of 4 tasks running". */
struct progress {
    int64_t started_ms;
    char last[512];
};
void progress_begin(struct progress *p);
void progress_line(struct progress *p, const char *subject, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* "arn:...:service/c/web" -> "web" */
const char *arn_tail(const char *arn);
