/* SPDX-License-Identifier: MIT */
#include "floors.h"

#include <microhttpd.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/crypto.h"

/* ---- HTTP: in a process of its own, as a server is ---- */

static enum MHD_Result
answer_constant(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
                const char *version, const char *upload_data, size_t *upload_size, void **con_cls)
{
    struct MHD_Response *response = cls;
    static char seen;

    (void)url;
    (void)method;
    (void)version;
    (void)upload_data;
    if (*con_cls == NULL) {
        *con_cls = &seen;
        return MHD_YES;
    }
    if (*upload_size > 0) {
        *upload_size = 0;
        return MHD_YES;
    }
    return MHD_queue_response(connection, MHD_HTTP_OK, response);
}

static int
serve_constant(size_t answer_size, int tell_fd)
{
    char *text = malloc(answer_size);
    struct MHD_Response *response;
    const union MHD_DaemonInfo *info;
    struct MHD_Daemon *daemon;
    int port;

    if (text == NULL)
        return 1;
    memset(text, 'x', answer_size);
    response = MHD_create_response_from_buffer(answer_size, text, MHD_RESPMEM_MUST_FREE);
    daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, answer_constant, response,
                              MHD_OPTION_THREAD_POOL_SIZE, (unsigned)sysconf(_SC_NPROCESSORS_ONLN),
                              MHD_OPTION_END);
    info = daemon == NULL ? NULL : MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
    if (info == NULL)
        return 1;
    port = info->port;
    if (write(tell_fd, &port, sizeof(port)) != sizeof(port))
        return 1;
    for (;;)
        pause(); /* until it is killed */
}

bool
floor_http(const struct api_load *load, size_t answer_size, struct api_load_report *out, struct err *err)
{
    struct api_load here = *load;
    int pipe_fds[2];
    pid_t pid;
    bool ok;

    if (pipe(pipe_fds) < 0)
        return err_errno(err, "cannot make a pipe");
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(serve_constant(answer_size, pipe_fds[1]));
    }
    close(pipe_fds[1]);
    ok = pid > 0 && read(pipe_fds[0], &here.port, sizeof(here.port)) == sizeof(here.port);
    close(pipe_fds[0]);
    ok = ok ? api_load_run(&here, out, err)
            : err_set(err, ERR_INTERNAL, "cannot start libmicrohttpd alone");
    if (pid > 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    return ok;
}

/* ---- hashes ---- */

double
floor_hmac_chain_us(void)
{
    const int rounds = 20000;
    unsigned char key[SHA256_LEN] = {0};
    const struct str step = STR("AWS4-HMAC-SHA256 20260102T030405Z 20260102/eu-west-1/ecs");
    const int64_t begin_us = clock_monotonic_us();

    for (int i = 0; i < rounds * 5; i++)
        hmac_sha256((struct str){(const char *)key, sizeof(key)}, step, key);
    return (double)(clock_monotonic_us() - begin_us) / rounds;
}

/* ---- commits ---- */

static bool
fail(sqlite3 *db, struct err *err)
{
    return err_set(err, ERR_INTERNAL, "SQLite alone: %s", sqlite3_errmsg(db));
}

static bool
commit_rows(sqlite3 *db, size_t row_size, int64_t duration_ms, double *a_second_out, struct err *err)
{
    const int64_t begin_us = clock_monotonic_us(), end_us = begin_us + duration_ms * 1000;
    sqlite3_stmt *put = NULL;
    int64_t count = 0, now_us = begin_us;
    int result = sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO rows VALUES (?1, zeroblob(?2))", -1, &put,
                                    NULL);

    for (; result == SQLITE_OK && now_us < end_us; count++) {
        sqlite3_bind_int64(put, 1, count % 1000);
        sqlite3_bind_int64(put, 2, (sqlite3_int64)row_size);
        result = sqlite3_step(put) == SQLITE_DONE ? SQLITE_OK : SQLITE_ERROR;
        sqlite3_reset(put);
        now_us = clock_monotonic_us();
    }
    sqlite3_finalize(put);
    *a_second_out = (double)count * 1e6 / (double)(now_us - begin_us);
    return result == SQLITE_OK || fail(db, err);
}

bool
floor_commits(const char *dir, size_t row_size, int64_t duration_ms, double *a_second_out, struct err *err)
{
    sqlite3 *db = NULL;
    char path[600];
    bool ok;

    snprintf(path, sizeof(path), "%s/floor.db", dir);
    ok = (sqlite3_open(path, &db) == SQLITE_OK &&
          sqlite3_exec(db,
                       "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                       "CREATE TABLE rows (id INTEGER PRIMARY KEY, doc BLOB);",
                       NULL, NULL, NULL) == SQLITE_OK) ||
         fail(db, err);
    ok = ok && commit_rows(db, row_size, duration_ms, a_second_out, err);
    sqlite3_close(db);
    return ok;
}
