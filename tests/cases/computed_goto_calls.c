// changed: run
/* A larger threaded interpreter: handlers call functions, registers are scarce, a switch stands beside the labels. */
#include "case.h"

struct Machine {
	int stack[16], top, spare[8];
};

NOINLINE static int mix(int a, int b)
{
	OPAQUE(a);
	return a * 3 + b;
}

NOINLINE int run(struct Machine *m, const unsigned char *code, int a, int b, int c, int d)
{
	static const void *const labels[] = { &&stop, &&push, &&add, &&calls, &&turns, &&prints, &&jumps };
	int e = a ^ b, f = c ^ d, g = a + c;

#define NEXT goto *labels[*code++]
	NEXT;
push:
	m->stack[m->top++] = a + e;
	NEXT;
add:
	m->top--;
	m->stack[m->top - 1] += m->stack[m->top] + b;
	NEXT;
calls:
	m->stack[m->top - 1] = mix(m->stack[m->top - 1], c) + mix(e, f);
	e += mix(g, a);
	NEXT;
turns:
#ifdef NEW
	a = b + d * 5 + mix(a, c);
#else
	a = b + d;
#endif
	f ^= a;
	NEXT;
prints:
	printf("%d/%d/%d ", m->stack[m->top - 1], e, f);
	NEXT;
jumps:
	switch ((unsigned char)(*code++ + a) % 7) {
	case 0: e += mix(a, b); break;
	case 1: f += 4; break;
	case 2: g ^= mix(c, d); break;
	case 3: e = mix(e, e); break;
	case 4: a = mix(f, g); break;
	case 5: if (f == 12345) abort(); break;
	default: b ^= 11;
	}
	NEXT;
stop:
	return a + b + c + d + e + f + g;
}

void step(int n)
{
	static const unsigned char program[] = { 1, 1, 2, 3, 4, 5, 6, 3, 1, 2, 6, 9, 5, 4, 6, 1, 6, 2, 1, 2, 5, 0 };
	struct Machine m = { .top = 0 };

	printf("%d", run(&m, program, n, n + 1, n * 2, 7));
}
