/* SPDX-License-Identifier: MIT */
/* document.c - what a region's registry keeps beside its repositories: _registry.json in the
 * region's folder. No repository has such a name. */
#include "io/file.h"
#include "registry/internal.h"
#include "registry/reference.h"

#define DOCUMENT_MAX (4 << 20)

static char *
document_path(const struct registry *reg, const char *region)
{
    cleanup_free char *folder = region_path(reg, region);
    return text_format("%s/_registry.json", folder);
}

bool
registry_document_get(struct registry *reg, const char *region, struct json **out, struct err *err)
{
    if (!region_is_valid(str_of(region)))
        return err_set(err, ERR_INVALID_PARAMETER, "'%.40s' is no region", region);
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup_free char *path = document_path(reg, region);
    const unsigned as_of = places_changed(reg);
    const bool is_kept = place_text(reg, region, "", &text);
    if (!is_kept && disk_is_absent(path))
        strbuf_add(&text, STR("{}"));
    else if (!is_kept && !file_read(path, DOCUMENT_MAX, &text, err))
        return false;
    if (!disk_parse_json(path, strbuf_str(&text), out, err))
        return false;
    if (!is_kept)
        place_note_text(reg, region, "", strbuf_str(&text), as_of);
    return true;
}

bool
registry_document_change(struct registry *reg, const char *region,
                         bool (*change)(void *arg, struct json *document, struct err *err),
                         void *arg, struct err *err)
{
    cleanup_json struct json *document = NULL;
    cleanup(unlock_) pthread_mutex_t *lock UNUSED = repository_lock(reg, region, "");

    if (!registry_document_get(reg, region, &document, err) || !change(arg, document, err))
        return false;
    cleanup_free char *folder = region_path(reg, region);
    cleanup_free char *path = document_path(reg, region);
    cleanup_free char *text = json_format(document);
    if (strlen(text) > DOCUMENT_MAX)
        return err_set(err, ERR_LIMIT_EXCEEDED, "the registry's settings take too much room");
    const bool is_stored = disk_make_dirs(reg->root_dir, folder, err) && disk_store(reg, path, str_of(text), err);
    places_change(reg); /* it may be there even if its flush failed */
    return is_stored;
}
