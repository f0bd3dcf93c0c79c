/* SPDX-License-Identifier: MIT */
/* registry.h - the verbs of `naru registry` that are files of their own. */
#pragma once

/* scan IMAGE, osv import PATH; argv[0] is "registry". The exit code. */
int registry_scan_command(int argc, char **argv);
/* quota [REPOSITORY [SIZE|none]] */
int registry_quota_command(int argc, char **argv);
/* gc [--dry-run] [--lifecycle] */
int registry_gc_command(int argc, char **argv);
