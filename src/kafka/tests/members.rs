//! In: what stands right of LAG. Out: consumer id, host and client id.

use super::*;

#[test]
fn nobody_owns_a_partition_of_three_dashes() {
    assert_eq!(member(HEADER, "-   -   -"), (None, None, None));
    assert_eq!(member(HEADER_OLD, "-   -   -"), (None, None, None));
}

#[test]
fn ids_may_contain_spaces() {
    let id = format!("web app-{UUID}");
    assert_eq!(
        member(HEADER, &format!("{id} /10.0.0.7 web app")),
        some(&id, "/10.0.0.7", "web app")
    );
    assert_eq!(
        member(HEADER_OLD, &format!("{id}/10.0.0.7   web app")),
        some(&id, "/10.0.0.7", "web app")
    );
}

#[test]
fn ids_of_49_50_and_51_characters_are_cut_from_the_host_at_the_uuid() {
    for length in [49, 50, 51] {
        let id = format!("{}-{UUID}", "m".repeat(length - 37));
        assert_eq!(id.len(), length);
        // %-50s%-30s: no column separator, only what padding is left.
        let right = format!("{id:<50}{:<30} m", "/10.0.0.7");
        assert_eq!(
            member(HEADER_OLD, &right),
            some(&id, "/10.0.0.7", "m"),
            "{length}"
        );
        let right = format!("{id:<50}{:<30} m", "name/10.0.0.7");
        assert_eq!(
            member(HEADER_OLD, &right),
            some(&id, "name/10.0.0.7", "m"),
            "{length}"
        );
    }
}

#[test]
fn ids_may_contain_slashes_quotes_and_letters_of_other_alphabets() {
    for client in [
        "a/b",
        "a /b",
        "it's \"x\"",
        "größe",
        "日本 \u{1d11e}",
        "x/1 y",
    ] {
        let id = format!("{client}-{UUID}");
        let right = format!("{id} /10.0.0.7 {client}");
        assert_eq!(member(HEADER, &right), some(&id, "/10.0.0.7", client));
    }
}

#[test]
fn a_host_may_have_a_name_and_a_port() {
    for host in [
        "/10.0.0.7",
        "mm-1.example/10.0.0.7",
        "/10.0.0.7:52114",
        "/[fe80::1%eth0]:9",
        "/fe80:0:0:0:1%2",
    ] {
        let id = format!("c-{UUID}");
        assert_eq!(
            member(HEADER, &format!("{id} {host} c")),
            some(&id, host, "c")
        );
    }
}

#[test]
fn an_id_without_a_uuid_still_ends_at_the_address() {
    // Members of the newer consumer protocol choose their own id.
    let id = "Sg8hWcYbTm-aOEaiv-o1Jg";
    assert_eq!(
        member(HEADER, &format!("{id} /10.0.0.7 c")),
        some(id, "/10.0.0.7", "c")
    );
    assert_eq!(
        member(HEADER, &format!("{id} n/10.0.0.7 c")),
        some(id, "n/10.0.0.7", "c")
    );
}

#[test]
fn an_unclear_right_side_costs_its_fields_and_not_the_row() {
    assert_eq!(member(HEADER, "what is this"), (None, None, None));
    assert_eq!(member(HEADER, ""), (None, None, None));
    assert_eq!(
        member(HEADER_OLD, "no-uuid-and-glued/10.0.0.7 c"),
        (None, None, None)
    );
}

#[test]
fn a_log_line_glued_to_the_last_row_is_not_part_of_the_client_id() {
    let id = format!("mm-0-{UUID}");
    let right = format!("{id} /10.0.0.7 mm-0[2026-11-21 07:04:39,645] INFO App info");
    assert_eq!(member(HEADER, &right), some(&id, "/10.0.0.7", "mm-0"));
    // Brackets alone are the client's own.
    assert_eq!(
        member(HEADER, &format!("{id} /10.0.0.7 mm[0]")),
        some(&id, "/10.0.0.7", "mm[0]")
    );
}

#[test]
fn an_owner_is_a_client_id_and_a_host() {
    let header = "GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG OWNER\n";
    let text = format!("{header}g t 0 1 2 1 web_app x_/10.0.0.7\ng t 1 1 2 1 none\n");
    let round = round(0, &text, "");
    let description = read("g", &round);
    assert_eq!(description.rows[0].client_id, Some("web_app x"));
    assert_eq!(description.rows[0].consumer_host, Some("/10.0.0.7"));
    assert_eq!(description.rows[1].client_id, None);
}
