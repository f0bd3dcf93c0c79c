/* SPDX-License-Identifier: MIT */
#include "agent/host_gpus.h"

#include <dirent.h>

#include "base/log.h"
#include "io/file.h"
#include "model/types.h"

#define INFORMATION_MAX 65536
#define ID_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-"

/* "GPU UUID: \t GPU-..."; empty if the text has none that can be used. */
static struct str
uuid_in(struct str text)
{
    struct str line, name;

    while (str_split(&text, '\n', &line)) {
        if (!str_split(&line, ':', &name) || !str_is(str_trim(name), "GPU UUID"))
            continue;
        line = str_trim(line);
        for (size_t i = 0; i < line.len; i++) {
            if (strchr(ID_CHARS, line.at[i]) == NULL || line.at[i] == '\0')
                return (struct str){0};
        }
        return line;
    }
    return (struct str){0};
}

static bool
has(const struct json *list, struct str text)
{
    for (size_t i = 0; i < json_size(list); i++) {
        if (str_is(text, json_cstr(json_at(list, i), "")))
            return true;
    }
    return false;
}

static void
add_gpu(struct json *list, const char *directory, const char *address)
{
    cleanup_free char *path = text_format("%s/%s/information", directory, address);
    cleanup(strbuf_done) struct strbuf text = {0};
    struct err err = {0};
    char id[ID_SIZE];
    struct str uuid;

    if (!file_read(path, INFORMATION_MAX, &text, &err)) {
        log_warn("gpu.unreadable", "path=%s error=%s", path, log_quote(err.message));
        return;
    }
    uuid = uuid_in(strbuf_str(&text));
    if (uuid.len == 0 || !text_copy(id, sizeof(id), uuid) || has(list, uuid)) {
        log_warn("gpu.without_identifier", "path=%s", path);
        return;
    }
    json_append(list, json_text(id));
}

struct json *
host_gpus(const char *directory)
{
    struct json *list = json_array();
    struct dirent **entries = NULL;
    const int count = scandir(directory, &entries, NULL, alphasort);

    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.' && json_size(list) < GPUS_MAX)
            add_gpu(list, directory, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return list;
}
