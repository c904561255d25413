/*
 * Lets keepalived's checkers run on a kernel without IPVS: answers the IPVS socket options, 1152 to 1167 at level
 * IPPROTO_IP (include/uapi/linux/ip_vs.h), as a kernel with an empty table does. For benchmarks: LD_PRELOAD it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

enum { FIRST = 1152, LAST = 1167, GET_INFO = 1153 };

static const unsigned version = 1 << 16 | 2 << 8 | 1;

static int is_ipvs(int level, int name)
{
	return level == IPPROTO_IP && name >= FIRST && name <= LAST;
}

int getsockopt(int fd, int level, int name, void *restrict value, socklen_t *restrict size)
{
	static int (*next)(int, int, int, void *, socklen_t *);

	if (is_ipvs(level, name)) {
		memset(value, 0, *size);
		if (name == GET_INFO && *size >= sizeof version)
			memcpy(value, &version, sizeof version);
		return 0;
	}
	if (!next)
		next = dlsym(RTLD_NEXT, "getsockopt");
	return next(fd, level, name, value, size);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
	static int (*next)(int, int, int, const void *, socklen_t);

	if (is_ipvs(level, name))
		return 0;
	if (!next)
		next = dlsym(RTLD_NEXT, "setsockopt");
	return next(fd, level, name, value, size);
}
