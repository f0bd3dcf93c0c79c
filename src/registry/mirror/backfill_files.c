/* SPDX-License-Identifier: MIT */
#include "registry/mirror/backfill_files.h"

#include "base/log.h"
#include "io/file.h"

#define SUMMARY_MAX (64 << 10)

static char *
folder_path(const struct registry *reg, const char *region)
{
    cleanup_free char *folder = region_path(reg, region);
    return text_format("%s/_backfills", folder);
}

static char *
file_path(const struct registry *reg, const char *region, const char *id, const char *ending)
{
    cleanup_free char *folder = folder_path(reg, region);
    return text_format("%s/%s.%s", folder, id, ending);
}

static bool
id_is_valid(const char *id)
{
    return strlen(id) == BACKFILL_ID_SIZE - 1 && id[strspn(id, "0123456789abcdef-")] == '\0';
}

bool
backfill_folder_make(struct registry *reg, const char *region, struct err *err)
{
    cleanup_free char *folder = folder_path(reg, region);
    return disk_make_dirs(reg->root_dir, folder, err);
}

static bool
text_store(struct registry *reg, const char *region, const char *id, const char *ending, const char *text, struct err *err)
{
    cleanup_free char *path = file_path(reg, region, id, ending);
    return disk_store(reg, path, str_of(text), err);
}

bool
backfill_summary_store(struct registry *reg, const char *region, const char *id, const struct json *summary, struct err *err)
{
    cleanup_free char *text = json_format(summary);
    return text_store(reg, region, id, "json", text, err);
}

/* A line for each. */
bool
backfill_images_store(struct registry *reg, const char *region, const char *id, const struct json *images, struct err *err)
{
    cleanup(strbuf_done) struct strbuf text = {0};

    strbuf_add_char(&text, '[');
    for (size_t i = 0; i < json_size(images); i++) {
        cleanup_free char *image = json_format(json_at(images, i));
        strbuf_add_cstr(&text, i > 0 ? ",\n" : "\n");
        strbuf_add_cstr(&text, image);
    }
    strbuf_add_cstr(&text, "\n]");
    return text_store(reg, region, id, "images", strbuf_cstr(&text), err);
}

bool
backfill_summary_read(const struct registry *reg, const char *region, const char *id, struct json **out, struct err *err)
{
    cleanup_free char *path = file_path(reg, region, id, "json");

    if (!id_is_valid(id) || !file_exists(path))
        return err_set(err, ERR_BACKFILL_NOT_FOUND, "The replication backfill with id '%.64s' does not exist", id);
    return disk_read_json(path, SUMMARY_MAX, out, err);
}

bool
backfill_images_read(const struct registry *reg, const char *region, const char *id, struct json **out, struct err *err)
{
    cleanup_free char *path = file_path(reg, region, id, "images");
    cleanup(strbuf_done) struct strbuf text = {0};

    if (!file_read(path, BACKFILL_IMAGES_FILE_MAX, &text, err))
        return false;
    *out = json_parse(strbuf_str(&text), err);
    return *out != NULL || disk_is_damaged(path, err);
}

static const char *
lines_skip(const char *at, const char *end, size_t count)
{
    for (; count > 0 && at < end; count--) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        at = newline != NULL ? newline + 1 : end;
    }
    return at;
}

static struct json *
lines_parse(struct str text, size_t first, size_t count, struct err *err)
{
    cleanup(strbuf_done) struct strbuf part = {0};
    const char *end = text.at + text.len;
    const char *from = lines_skip(lines_skip(text.at, end, 1), end, first), *to = lines_skip(from, end, count);

    while (to > from && strchr("\n,]", to[-1]) != NULL)
        to--;
    strbuf_add_char(&part, '[');
    strbuf_add(&part, (struct str){from, (size_t)(to - from)});
    strbuf_add_char(&part, ']');
    return json_parse(strbuf_str(&part), err);
}

struct json *
backfill_images_part(const struct json *images, size_t first, size_t count)
{
    struct json *part = json_array();

    for (size_t i = first; i < json_size(images) && i - first < count; i++)
        json_append(part, json_copy(json_at(images, i)));
    return part;
}

/* As versions wrote them that made no lines. */
static struct json *
line_parse(struct str text, size_t first, size_t count, struct err *err)
{
    cleanup_json struct json *images = json_parse(text, err);

    return images != NULL ? backfill_images_part(images, first, count) : NULL;
}

/* Of many no more is parsed than is asked for: who reads all of them asks page by page. */
bool
backfill_images_read_part(const struct registry *reg, const char *region, const char *id, size_t first, size_t count,
                          struct json **out, struct err *err)
{
    cleanup_free char *path = file_path(reg, region, id, "images");
    cleanup(strbuf_done) struct strbuf bytes = {0};

    if (!file_read(path, BACKFILL_IMAGES_FILE_MAX, &bytes, err))
        return false;
    const struct str text = strbuf_str(&bytes);
    *out = str_starts(text, STR("[\n")) ? lines_parse(text, first, count, err) : line_parse(text, first, count, err);
    return *out != NULL || disk_is_damaged(path, err);
}

/* The id of a file with this ending; "" for others. */
static void
id_of(const char *name, const char *ending, char out[static BACKFILL_ID_SIZE])
{
    const size_t len = strcspn(name, ".");

    out[0] = '\0';
    if (len == BACKFILL_ID_SIZE - 1 && name[len] == '.' && strcmp(name + len + 1, ending) == 0)
        (void)text_copy(out, BACKFILL_ID_SIZE, (struct str){name, len});
    if (!id_is_valid(out))
        out[0] = '\0';
}

bool
backfill_summaries_each(const struct registry *reg, const char *region,
                        void (*call)(void *arg, const char *region, const char *id, struct json *summary), void *arg,
                        struct err *err)
{
    cleanup_free char *folder = folder_path(reg, region);
    cleanup_json struct json *names = NULL;

    if (!disk_list(folder, &names, err))
        return false;
    for (size_t i = 0; i < json_size(names); i++) {
        char id[BACKFILL_ID_SIZE];
        struct json *summary = NULL;
        struct err why = {0};
        id_of(json_cstr(json_at(names, i), ""), "json", id);
        if (id[0] != '\0' && backfill_summary_read(reg, region, id, &summary, &why))
            call(arg, region, id, summary);
        else if (id[0] != '\0')
            log_error("registry.backfill", "region=%s id=%s error=%s", region, id, log_quote(why.message));
    }
    return true;
}

bool
backfill_files_remove(const struct registry *reg, const char *region, const char *id, struct err *err)
{
    cleanup_free char *summary = file_path(reg, region, id, "json");
    cleanup_free char *images = file_path(reg, region, id, "images");

    return disk_remove(summary, err) && disk_sync_parent(summary, err) && disk_remove(images, err);
}

void
backfill_files_sweep(const struct registry *reg, const char *region)
{
    cleanup_free char *folder = folder_path(reg, region);
    cleanup_json struct json *names = NULL;

    if (!disk_list(folder, &names, NULL))
        return;
    for (size_t i = 0; i < json_size(names); i++) {
        char id[BACKFILL_ID_SIZE];
        id_of(json_cstr(json_at(names, i), ""), "images", id);
        cleanup_free char *summary = file_path(reg, region, id, "json");
        if (id[0] != '\0' && !file_exists(summary))
            (void)!backfill_files_remove(reg, region, id, NULL); /* the next start tries again */
    }
}
