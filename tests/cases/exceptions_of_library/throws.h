struct Error {
	int value;
	Error(int n) : value(n) {}
	virtual ~Error();
};

int answer(int n, void (*callback)(int));
