/* SPDX-License-Identifier: MIT */
#include "store/store.h"

#include <sys/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include "check.h"
#include "store/row_parser.h"

static char path_of_test[128];

static void
remove_files(void)
{
    static const char *const tails[] = {"", "-wal", "-shm"};

    for (size_t i = 0; i < ARRAY_COUNT(tails); i++) {
        char name[160];

        snprintf(name, sizeof(name), "%s%s", path_of_test, tails[i]);
        unlink(name);
    }
}

/* Gone again when the test ends; each runs in a process of its own. */
static const char *
fresh_path(void)
{
    snprintf(path_of_test, sizeof(path_of_test), "test_store_%d.db", (int)getpid());
    remove_files();
    (void)atexit(remove_files);
    return path_of_test;
}

static void
put(struct store *s, const char *kind, const char *key, int n)
{
    cleanup_json struct json *doc = json_object();
    struct err err = {0};

    json_set(doc, "n", json_int(n));
    CHECK(store_begin(s, &err));
    CHECK(store_put(s, kind, key, doc, &err));
    CHECK(store_commit(s, &err));
}

static bool
collect(void *arg, const char *kind, const char *key, const struct json *doc, struct err *err)
{
    strbuf_addf(arg, "%s/%s=%d ", kind, key, (int)json_get_i64(doc, "n", -1));
    (void)err;
    return true;
}

static char *
rows(struct store *s)
{
    struct strbuf all = {0};
    struct err err = {0};

    CHECK(store_each(s, collect, &all, &err));
    return strbuf_take(&all);
}

TEST(rows_come_back_in_order_after_a_reopen)
{
    const char *path = fresh_path();
    struct err err = {0};
    struct store *s = store_open(path, &err);

    CHECK(s != NULL);
    put(s, "task", "b", 1);
    put(s, "task", "a", 2);
    put(s, "cluster", "z", 3);
    put(s, "task", "b", 4);
    store_close(s);
    s = store_open(path, &err);
    cleanup_free char *all = rows(s);
    CHECK_TEXT(all, "cluster/z=3 task/a=2 task/b=4 ");
    store_close(s);
}

/* More than the threads that parse can hold at once, as rows and as bytes. */
#define MANY 7000
#define LARGE_EVERY 2100
#define LARGE_SIZE (ROW_BATCH_SIZE + 1)

static char *
key_of(int i)
{
    return text_format("key%05d", i);
}

/* Rows of kind "task"; a few are larger than a batch. */
static struct store *
store_of_many(void)
{
    struct err err = {0};
    struct store *s = store_open(fresh_path(), &err);
    cleanup_free char *large = mem_new(LARGE_SIZE + 1);

    memset(large, 'x', LARGE_SIZE);
    CHECK(s != NULL);
    CHECK(store_begin(s, &err));
    for (int i = MANY - 1; i >= 0; i--) {
        cleanup_json struct json *doc = json_object();
        cleanup_free char *key = key_of(i);
        json_set(doc, "n", json_int(i));
        json_set(doc, "text", json_text(i % LARGE_EVERY == 0 ? large : "small"));
        CHECK(store_put(s, "task", key, doc, &err));
    }
    CHECK(store_commit(s, &err));
    return s;
}

struct walk {
    int count, stop_at;
};

static bool
follow(void *arg, const char *kind, const char *key, const struct json *doc, struct err *err)
{
    struct walk *w = arg;
    cleanup_free char *wanted = key_of(w->count);

    if (w->count == w->stop_at)
        return err_set(err, ERR_INTERNAL, "stopped at %s", key);
    CHECK_TEXT(kind, "task");
    CHECK_TEXT(key, wanted);
    CHECK_EQ(json_get_i64(doc, "n", -1), w->count);
    CHECK_EQ(strlen(json_get_cstr(doc, "text", "")), w->count % LARGE_EVERY == 0 ? LARGE_SIZE : 5);
    w->count++;
    return true;
}

TEST(many_rows_come_back_in_order)
{
    struct store *s = store_of_many();
    struct walk w = {.stop_at = -1};
    struct err err = {0};

    CHECK(store_each(s, follow, &w, &err));
    CHECK_EQ(w.count, MANY);
    store_close(s);
}

TEST(who_stops_a_walk_sees_no_more_rows)
{
    static const int stops[] = {0, 2101, MANY - 1};
    struct store *s = store_of_many();

    for (size_t i = 0; i < ARRAY_COUNT(stops); i++) {
        cleanup_free char *wanted = text_format("stopped at key%05d", stops[i]);
        struct walk w = {.stop_at = stops[i]};
        struct err err = {0};
        CHECK(!store_each(s, follow, &w, &err));
        CHECK_EQ(w.count, stops[i]);
        CHECK_TEXT(err.message, wanted);
    }
    store_close(s);
}

/* As a hand in the file would: no function of the store writes such a row. */
static void
spoil(const char *path, int i)
{
    cleanup_free char *sql =
        text_format("UPDATE rows SET doc = '{\"n\":%d,' WHERE key = 'key%05d'", i, i);
    sqlite3 *db = NULL;

    CHECK(sqlite3_open(path, &db) == SQLITE_OK);
    CHECK(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
    sqlite3_close(db);
}

TEST(the_first_bad_row_is_named)
{
    static const int bad[] = {MANY - 1, 2101, 2100, 0}; /* each before the ones so far */

    store_close(store_of_many());
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        cleanup_free char *wanted = text_format("row task 'key%05d'", bad[i]);
        struct walk w = {.stop_at = -1};
        struct err err = {0};
        struct store *s;
        spoil(path_of_test, bad[i]);
        s = store_open(path_of_test, &err);
        CHECK(s != NULL);
        CHECK(!store_each(s, follow, &w, &err));
        CHECK_EQ(w.count, bad[i]);
        CHECK(strstr(err.message, wanted) != NULL);
        CHECK(strstr(err.message, "JSON is broken at line 1") != NULL);
        CHECK_EQ(err.code, ERR_SERIALIZATION);
        store_close(s);
    }
}

TEST(a_rollback_leaves_nothing)
{
    struct err err = {0};
    struct store *s = store_open(fresh_path(), &err);
    cleanup_json struct json *doc = json_object();

    put(s, "task", "a", 1);
    CHECK(store_begin(s, &err));
    CHECK(store_delete(s, "task", "a", &err));
    CHECK(store_put(s, "task", "b", doc, &err));
    store_rollback(s);
    cleanup_free char *all = rows(s);
    CHECK_TEXT(all, "task/a=1 ");
    store_close(s);
}

TEST(what_was_committed_survives_a_kill)
{
    cleanup_free char *path = text_dup(fresh_path());
    int ready[2];
    pid_t child;
    char byte;
    int status;

    CHECK(pipe(ready) == 0);
    child = fork();
    if (child == 0) {
        struct err err = {0};
        struct store *s = store_open(path, &err);
        cleanup_json struct json *doc = json_object();

        put(s, "task", "kept", 7);
        CHECK(store_begin(s, &err) && store_put(s, "task", "lost", doc, &err));
        CHECK(write(ready[1], "x", 1) == 1);
        pause();
    }
    CHECK(read(ready[0], &byte, 1) == 1);
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    struct err err = {0};
    struct store *s = store_open(path, &err);
    CHECK(s != NULL);
    cleanup_free char *all = rows(s);
    CHECK_TEXT(all, "task/kept=7 ");
    store_close(s);
}

TEST(a_damaged_file_is_refused)
{
    const char *path = fresh_path();
    struct err err = {0};
    struct store *s = store_open(path, &err);

    for (int i = 0; i < 500; i++) {
        char key[32];

        snprintf(key, sizeof(key), "key%d", i);
        put(s, "task", key, i);
    }
    store_close(s);
    int fd = open(path, O_WRONLY);
    char garbage[8192];
    memset(garbage, 0x5a, sizeof(garbage));
    CHECK(pwrite(fd, garbage, sizeof(garbage), 4096) == (ssize_t)sizeof(garbage));
    close(fd);
    CHECK(store_open(path, &err) == NULL);
    CHECK(strstr(err.message, "damaged") != NULL || strstr(err.message, "malformed") != NULL);
}

static int
schema_version(const char *path)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    int version;

    CHECK(sqlite3_open(path, &db) == SQLITE_OK);
    CHECK(sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &statement, NULL) == SQLITE_OK);
    CHECK(sqlite3_step(statement) == SQLITE_ROW);
    version = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return version;
}

TEST(an_older_file_is_migrated_with_its_rows)
{
    const char *path = fresh_path();
    struct err err = {0};
    struct store *s = store_open(path, &err);
    sqlite3 *db = NULL;
    int newest;

    put(s, "service", "a", 1);
    store_close(s);
    newest = schema_version(path);
    CHECK(newest >= 2);
    CHECK(sqlite3_open(path, &db) == SQLITE_OK);
    CHECK(sqlite3_exec(db, "PRAGMA user_version = 1", NULL, NULL, NULL) == SQLITE_OK);
    sqlite3_close(db);
    s = store_open(path, &err);
    CHECK(s != NULL);
    put(s, "service", "b", 2);
    store_close(s);
    CHECK_EQ(schema_version(path), newest);
}

TEST(a_newer_schema_is_refused)
{
    const char *path = fresh_path();
    struct err err = {0};
    struct store *s = store_open(path, &err);
    sqlite3 *db = NULL;

    store_close(s);
    CHECK(sqlite3_open(path, &db) == SQLITE_OK);
    CHECK(sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL) == SQLITE_OK);
    sqlite3_close(db);
    CHECK(store_open(path, &err) == NULL);
    CHECK(strstr(err.message, "schema version 99") != NULL);
}

TEST(a_second_owner_is_refused)
{
    const char *path = fresh_path();
    struct err err = {0};
    struct store *s = store_open(path, &err);
    int status;

    put(s, "task", "a", 1);
    pid_t child = fork();
    if (child == 0) {
        struct err second = {0};

        _exit(store_open(path, &second) == NULL ? 0 : 1);
    }
    waitpid(child, &status, 0);
    CHECK_EQ(WEXITSTATUS(status), 0);
    store_close(s);
}

TEST(nobody_else_reads_the_files)
{
    const char *path = fresh_path();
    cleanup_free char *wal = text_format("%s-wal", path);
    struct err err = {0};
    struct stat st;
    struct store *s = store_open(path, &err);

    put(s, "service", "a", 1);
    CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
    CHECK(stat(wal, &st) == 0 && (st.st_mode & 0777) == 0600);
    store_close(s);
    CHECK(chmod(path, 0644) == 0); /* as it was before there were private keys in it */
    s = store_open(path, &err);
    CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
    store_close(s);
}
