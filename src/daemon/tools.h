/* SPDX-License-Identifier: MIT */
/* tools.h - `aws`, `docker` and `naru` for the steps of builds: this binary under other names, in the folder
 * bin of the data directory.  Where builds' users (pipeline/run/build_user.h) cannot get to the binary, as in
 * a home that is closed to others, it is copied there. */
#pragma once
#include "base/err.h"

bool tools_link(const char *data_dir, struct err *err) MUST_CHECK;
