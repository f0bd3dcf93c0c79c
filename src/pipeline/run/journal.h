/* SPDX-License-Identifier: MIT */
/* journal.h - what a build has done, so that a naru that starts again does not do it again.
 * A runner with a journal repeats the script from its start: a step that has ended gives its
 * recorded result instead of acting, one that had only begun is taken up (a script is read on, see
 * durable.h) or repeated, and from where the journal ends all goes on as usual.  Recorded ends come
 * back in their order, whatever branch they are of, so what branches share is as it was.
 * Lines that are in the log already are not written again; they are counted for every branch.
 * In <state_dir>:
 *   Jenkinsfile  the file that is run
 *   journal      a JSON value a line: begun, ended, settled, struck; written before a script begins and after
 *                each end, and flushed to disk right then, by a thread, while the build goes on
 *   lines        for every line of the log, the branch it is of and its length
 * A journal that could not be written or flushed (a full disk), or is larger than RUNNER_JOURNAL_MAX, says
 * so in its head and in the build's log: the build goes on, but is not taken up after a restart, and fails
 * by name then.
 * Secrets that scripts print to `returnStdout` are in there; the folder is its owner's only, and
 * goes with the end of the build.
 * The head says which naru began it.  One of another version repeats the script as it can: where it comes to another
 * step than is recorded the build fails, and says so.
 * Without config->state_dir nothing is kept, and all functions say "nothing known". */
#pragma once
#include "pipeline/run/run.h"

struct journal;

/* The file that an earlier runner of this build ran: true with its text. */
bool journal_find_file(struct run *run, struct strbuf *text_out);
/* Keeps the file and opens the journal, or takes up the one that is there; from then on lines of
 * the log count.  False with something thrown. */
bool journal_open(struct run *run, struct str file_text) MUST_CHECK;
void journal_close(struct run *run);
/* Of a build's state folder: how long the log was when the journal last knew.  0: no journal; INT64_MAX:
 * it was given up, nothing is repeated, and all of the log stands. */
int64_t journal_log_size(const char *state_dir);

/* A step that acts, around its function.  `journal_ended_before` true: it gives what it gave then
 * (`*ok` false: thrown), and its effects on the results are made again. */
bool journal_ended_before(struct step_call *s, bool *ok);
bool journal_begun(struct step_call *s); /* false: it had begun before */
void journal_ended(struct step_call *s, bool ok);
/* Had it begun before the machine went down?  Its record or its folder may have been lost.  What it had
 * started died then. */
bool journal_is_lost(const struct run *run, const char *id, const char *folder);
/* An interruption that struck the flow outside of such a step (`in->thrown`): recorded with the place. */
void journal_struck(struct run *run);
/* Did one strike the flow here before?  Then it is thrown again. */
bool journal_strikes(struct run *run);
/* For what has no step_call; `id` as that of a step. */
bool journal_known(struct run *run, const char *id, struct value *out);
void journal_note(struct run *run, const char *id, struct value v);
/* Of a block that changes the world at both ends (a lock, a container): once it is over, its steps are repeated
 * without that. */
void journal_over(struct run *run, const char *id);
bool journal_is_over(struct run *run, const char *id);
/* The time of day when this was first asked for under this id. */
int64_t journal_time_ms(struct run *run, const char *id);
void journal_settle(struct interp *in, struct value *v);

/* Does the flow that runs still repeat what is recorded? */
bool journal_is_repeating(const struct run *run);
/* Is the next line of this flow in the log already?  Counts it. */
bool journal_has_line(struct run *run, size_t size);
