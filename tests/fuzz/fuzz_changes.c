/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include "pipeline/run/changes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What git says of commits: names, messages and paths are anybody's. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_json struct json *commits = changes_parse((struct str){(const char *)data, size});
    size_t paths = 0;

    assert(json_size(commits) <= CHANGES_MAX);
    for (size_t i = 0; i < json_size(commits); i++) {
        const struct json *one = json_at(commits, i), *files = json_get(one, "files");
        assert(strlen(json_get_cstr(one, "commitId", "")) == 40);
        for (size_t k = 0; k < json_size(files); k++)
            assert(json_get_cstr(json_at(files, k), "editType", NULL) != NULL &&
                   json_get_cstr(json_at(files, k), "path", "")[0] != '\0');
        paths += json_size(files);
    }
    assert(paths <= CHANGES_PATHS_MAX);
    return 0;
}
