/* SPDX-License-Identifier: MIT */
/* Log lines: whatever comes in, one line of printable ASCII goes out. */
#include <assert.h>
#include "balancer/access_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct access_names names = {
        .load_balancer = "app/a/b", .port = 80, .priority = 1, .action = size % 2 == 0 ? "redirect" : "forward"};
    cleanup(strbuf_done) struct strbuf out = {0};
    struct access_line l;

    if (!access_line_parse((struct str){(const char *)data, size}, &l))
        return 0;
    assert(l.port >= 0 && l.port <= 65535 && l.status >= 0 && l.status <= 999 && l.listener.len > 0);
    access_line_write(&l, &names, &out);
    assert(out.len > 0 && out.at[out.len - 1] == '\n');
    for (size_t i = 0; i + 1 < out.len; i++)
        assert(out.at[i] >= ' ' && out.at[i] <= '~');
    return 0;
}
