/* SPDX-License-Identifier: MIT */
/* naru logs: what containers and builds wrote, from the files that the agent and the builds keep.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "cli/builds.h"
#include "cli/commands.h"
#include "cli/follow.h"

#define FILES_MAX 256
#define CHUNK ((size_t)256 * 1024)
#define POLL_MS 200
#define TASKS_AGAIN_MS 2000 /* while following a service: new tasks appear */

struct log_file {
    char path[PATH_MAX];
    char label[80]; /* "3f2a91b0/app" */
    ino_t inode;
    off_t at;
    struct strbuf rest; /* an unfinished line */
};

struct logs {
    const char *data_dir, *service, *task, *cluster, *pipeline;
    const char *build;        /* "my-app", "my-app#3", or "3" with `pipeline` */
    char build_pipeline[128]; /* what it means */
    int64_t build_number, lines;
    bool follows;
    struct client *client;
    char cluster_name[512];
    struct log_file files[FILES_MAX];
    int file_count;
};

/* ---- files ---- */

/* Where the last `lines` lines begin. */
static off_t
tail_offset(int fd, off_t size, int64_t lines)
{
    cleanup_free char *buffer = mem_new(CHUNK);
    off_t end = size;

    while (end > 0) {
        const size_t length = end > (off_t)CHUNK ? CHUNK : (size_t)end;
        const ssize_t got = pread(fd, buffer, length, end - (off_t)length);

        if (got != (ssize_t)length)
            return 0;
        for (size_t i = length; i > 0; i--) {
            const off_t at = end - (off_t)length + (off_t)i;

            if (buffer[i - 1] == '\n' && at < size && --lines < 0)
                return at;
        }
        end -= (off_t)length;
        if (lines <= 0)
            return end + (off_t)length;
    }
    return 0;
}

static void
print_lines(struct log_file *f, bool has_label, bool is_end)
{
    struct str rest = strbuf_str(&f->rest);
    ptrdiff_t newline;

    while ((newline = str_index(rest, '\n')) >= 0 || (is_end && rest.len > 0)) {
        const size_t length = newline >= 0 ? (size_t)newline : rest.len;

        if (has_label)
            printf("%s%s%s  ", cli_colour(COLOUR_DIM), f->label, cli_colour(COLOUR_NONE));
        printf(STR_FMT "\n", STR_ARG(str_slice(rest, 0, length)));
        rest = str_slice(rest, length + (newline >= 0), rest.len);
    }
    if (rest.len > 0) {
        cleanup_free char *kept = str_dup(rest);

        strbuf_clear(&f->rest);
        strbuf_add_cstr(&f->rest, kept);
    } else {
        strbuf_clear(&f->rest);
    }
    fflush(stdout);
}

/* New bytes since the last time; a rotated file is begun again from its start. */
static void
print_more(struct logs *l, struct log_file *f, bool is_first)
{
    cleanup_close int fd = open(f->path, O_RDONLY | O_CLOEXEC);
    cleanup_free char *buffer = mem_new(CHUNK);
    struct stat st;
    ssize_t got;

    if (fd < 0 || fstat(fd, &st) < 0)
        return;
    if (is_first)
        f->at = tail_offset(fd, st.st_size, l->lines);
    else if (st.st_ino != f->inode || st.st_size < f->at)
        f->at = 0;
    f->inode = st.st_ino;
    while ((got = pread(fd, buffer, CHUNK, f->at)) > 0) {
        f->at += got;
        strbuf_add(&f->rest, (struct str){buffer, (size_t)got});
        print_lines(f, true, false);
    }
    if (!l->follows)
        print_lines(f, true, true);
}

static void
add_file(struct logs *l, const char *path, const char *label)
{
    struct log_file *f = &l->files[l->file_count];

    for (int i = 0; i < l->file_count; i++)
        if (strcmp(l->files[i].path, path) == 0)
            return;
    if (l->file_count == FILES_MAX)
        return;
    if (!text_copy(f->path, sizeof(f->path), str_of(path)))
        return;
    text_copy(f->label, sizeof(f->label), str_slice(str_of(label), 0, sizeof(f->label) - 1));
    l->file_count++;
    print_more(l, f, true);
}

/* ---- tasks ---- */

static void
add_task(struct logs *l, const char *task_id)
{
    cleanup_free char *folder =
        text_format("%s/log/tasks/%s", client_data_dir(l->data_dir), task_id);
    DIR *dir = opendir(folder);

    for (struct dirent *e = dir != NULL ? readdir(dir) : NULL; e != NULL; e = readdir(dir)) {
        const struct str name = str_of(e->d_name);
        cleanup_free char *path = text_format("%s/%s", folder, e->d_name);
        cleanup_free char *label = NULL;

        if (!str_ends(name, STR(".log")))
            continue;
        label = text_format("%.8s/" STR_FMT, task_id, STR_ARG(str_slice(name, 0, name.len - 4)));
        add_file(l, path, label);
    }
    if (dir != NULL)
        closedir(dir);
}

static bool
add_service_tasks(struct logs *l, struct err *err)
{
    cleanup_json struct json *input = json_object(), *answer = NULL;

    json_set(input, "cluster", json_text(l->cluster_name));
    json_set(input, "serviceName", json_text(l->service));
    answer = client_call(l->client, "ecs", "ListTasks", input, err);
    if (answer == NULL)
        return false;
    for (size_t i = 0; i < json_size(json_get(answer, "taskArns")); i++)
        add_task(l, arn_tail(json_cstr(json_at(json_get(answer, "taskArns"), i), "")));
    return true;
}

/* Also tasks that naru has forgotten: their logs are still there. */
static bool
add_one_task(struct logs *l, struct err *err)
{
    cleanup_free char *folder = text_format("%s/log/tasks", client_data_dir(l->data_dir));
    DIR *dir = opendir(folder);
    char found[64] = "";
    int count = 0;

    if (dir == NULL)
        return err_errno(err, "cannot open '%s'", folder);
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        if (e->d_name[0] == '.' ||
            strncmp(e->d_name, arn_tail(l->task), strlen(arn_tail(l->task))) != 0)
            continue;
        count++;
        text_copy(found, sizeof(found), str_of(e->d_name));
    }
    closedir(dir);
    if (count != 1)
        return err_set(err, count == 0 ? ERR_NOT_FOUND : ERR_USAGE,
                       count == 0 ? "no task '%s' has left a log"
                                  : "'%s' is the beginning of several tasks",
                       l->task);
    add_task(l, found);
    return true;
}

static int
show_tasks(struct logs *l)
{
    int64_t again_ms = 0;
    struct err err = {0};

    if (l->service != NULL) {
        cleanup_json struct json *service = NULL;

        if (!service_locate(l->client, l->cluster, l->service, l->cluster_name,
                            sizeof(l->cluster_name), &service, &err))
            return cli_fail(&err);
    }
    if (!(l->service != NULL ? add_service_tasks(l, &err) : add_one_task(l, &err)))
        return cli_fail(&err);
    if (l->file_count == 0 && !l->follows)
        fputs("nothing was written yet\n", stderr);
    while (l->follows) {
        clock_sleep_ms(POLL_MS);
        for (int i = 0; i < l->file_count; i++)
            print_more(l, &l->files[i], false);
        again_ms += POLL_MS;
        if (l->service != NULL && again_ms >= TASKS_AGAIN_MS) {
            again_ms = 0;
            (void)!add_service_tasks(l, NULL); /* naru may be restarting: the files go on */
        }
    }
    return EXIT_LIVE;
}

/* ---- builds ---- */

/* "my-app" is its newest build, "my-app#3" (or "my-app/3") that one. */
static bool
find_build(struct logs *l, struct err *err)
{
    const size_t name_length = strcspn(l->build, "#/");
    const char *number = l->build[name_length] != '\0' ? l->build + name_length + 1 : NULL;
    cleanup_json struct json *newest = NULL;
    struct str name = {l->build, name_length};

    if (l->pipeline != NULL) {
        number = l->build;
        name = str_of(l->pipeline);
    }
    if (!text_copy(l->build_pipeline, sizeof(l->build_pipeline), name))
        return err_set(err, ERR_USAGE, "the pipeline's name is too long");
    if (number != NULL) {
        if (str_to_i64(str_of(number), &l->build_number) && l->build_number > 0)
            return true;
        return err_set(err, ERR_USAGE, "'%s' is no build's number", number);
    }
    newest = builds_find(l->client, l->build_pipeline, /* commit= */ NULL, err);
    l->build_number = json_get_i64(newest, "number", 0);
    if (newest == NULL && err->code == ERR_NONE)
        return err_set(err, ERR_NOT_FOUND, "pipeline '%s' has no builds", l->build_pipeline);
    return newest != NULL;
}

static int
show_build(struct logs *l)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    struct err cause = {0};
    size_t printed = 0;

    if (!find_build(l, &cause))
        return cli_fail(&cause);
    for (;;) {
        cleanup_json struct json *build = NULL;
        struct err err = {0};

        /* First the state, then the log: what was written before the end is then surely seen. */
        build = builds_get(l->client, l->build_pipeline, l->build_number, &err);
        if (build == NULL ||
            !builds_log(l->client, l->build_pipeline, l->build_number, &text, &err))
            return cli_fail(&err);
        if (text.len > printed)
            fwrite(text.at + printed, 1, text.len - printed, stdout);
        printed = text.len > printed ? text.len : printed;
        fflush(stdout);
        if (!l->follows || build_is_over(build))
            return EXIT_LIVE;
        clock_sleep_ms(POLL_MS);
    }
}

int
command_logs(int argc, char **argv)
{
    struct logs *l = mem_new(sizeof(*l));
    cleanup_free UNUSED void *owner = l;
    const struct option_row rows[] = {
        {"service", 's', OPTION_TEXT, &l->service},
        {"task", 't', OPTION_TEXT, &l->task},
        {"build", 'b', OPTION_TEXT, &l->build},
        {"pipeline", 'p', OPTION_TEXT, &l->pipeline},
        {"cluster", 'c', OPTION_TEXT, &l->cluster},
        {"follow", 'f', OPTION_FLAG, &l->follows},
        {"lines", 'n', OPTION_NUMBER, &l->lines},
        {"data-dir", 0, OPTION_TEXT, &l->data_dir},
        {0},
    };
    struct err err = {0};
    int status;

    l->lines = 100;
    if (command_begin(argc, argv, rows, 0, &status) < 0)
        return status;
    if ((l->service != NULL) + (l->task != NULL) + (l->build != NULL) != 1) {
        err_set(&err, ERR_USAGE, "say one of --service, --task, --build (try: naru logs --help)");
        return cli_fail(&err);
    }
    l->client = cli_connect(l->data_dir, &status);
    if (l->client == NULL)
        return status;
    status = l->build != NULL ? show_build(l) : show_tasks(l);
    for (int i = 0; i < l->file_count; i++)
        strbuf_done(&l->files[i].rest);
    client_free(l->client);
    return status;
}
