package levada.conformance.adapter;

/** This client has no such operation, or its request no such member. */
final class Unknown extends RuntimeException {
    private static final long serialVersionUID = 1L;

    Unknown(String what) {
        super(what);
    }
}
