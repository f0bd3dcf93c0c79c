while (true) { try {eli wh (true) { } } catch (Exception t) { } }
