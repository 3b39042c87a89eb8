// Makes unsafe libc calls fail to compile. Forced into every C file of runtime/ with -include.
// The headers that declare them come first, so that the declarations themselves still parse.
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define strcpy    strcpy_is_banned_see_base_banned_h
#define strcat    strcat_is_banned_see_base_banned_h
#define sprintf   sprintf_is_banned_see_base_banned_h
#define vsprintf  vsprintf_is_banned_see_base_banned_h
#define strtok    strtok_is_banned_see_base_banned_h
#define localtime localtime_is_banned_see_base_banned_h
#define gmtime    gmtime_is_banned_see_base_banned_h
#define system    system_is_banned_see_base_banned_h
#define popen     popen_is_banned_see_base_banned_h

// The library takes memory by fl_alloc() and gives it back by fl_free(), so that a host's allocator
// has all of it (fl_set_allocator). What libc would allocate by itself is not to be had.
#ifdef FL_CORE
#define malloc  malloc_is_banned_see_base_banned_h
#define calloc  calloc_is_banned_see_base_banned_h
#define realloc realloc_is_banned_see_base_banned_h
#define strdup  strdup_is_banned_see_base_banned_h
#define strndup strndup_is_banned_see_base_banned_h
#define free    fl_free
#endif
